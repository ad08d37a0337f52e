#include "ops/weight_decay/weight_decay.h"

#include "engine/parallel.h"
#include "tests/support/float_check.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class WeightDecay : public CpuTest {
 protected:
  static double number(const Variable& loss) { return to_double(std::get<Tensor>(loss.value)).at(0); }
};

TEST_F(WeightDecay, ValuesByHand) { EXPECT_EQ(number(weight_decay(f32({2, 2}, {1, -2, 3, 0}))), 7); }

TEST_F(WeightDecay, Gradient) {
  Parameter w = random_parameter(device_, "w", {4, 5}, 1);
  EXPECT_LT(gradient_error({&w}, [&](Tape& tape) { return weight_decay(tape.watch(w)); }), gradient_tolerance);
}

TEST_F(WeightDecay, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    EXPECT_LT(float_error({random_tensor(device_, {rows, 33}, Dtype::f32, 1)},
                          [](const auto& in) { return weight_decay(in[0]); }),
              1e-6);
  }
}

TEST_F(WeightDecay, SameBitsWithAnyNumberOfThreads) {
  const Tensor w = random_tensor(device_, {400, 401}, Dtype::f64, 1);
  const int before = threads();
  set_threads(1);
  const double one = number(weight_decay(w));
  set_threads(3);
  EXPECT_EQ(number(weight_decay(w)), one);
  set_threads(before);
}

TEST_F(WeightDecay, Refusals) {
  EXPECT_REFUSED(weight_decay(i32({1}, {1})), "weight_decay: expected f32 or f64");
  EXPECT_REFUSED(weight_decay(Value(random_row_sparse(device_, 2, 4, 2, Dtype::f32, 1))),
                 "weight_decay: expected a dense");
}

}  // namespace
}  // namespace sae
