#include "ops/weight_decay/weight_decay.h"

#include "engine/parallel.h"
#include "tests/support/devices.h"
#include "tests/support/float_check.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

double number(const Variable& loss) { return to_double(std::get<Tensor>(loss.value)).at(0); }

class WeightDecay : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, WeightDecay, every_device, device_name);

class WeightDecayOnCpu : public CpuTest {};

TEST_P(WeightDecay, ValuesByHand) { EXPECT_EQ(number(weight_decay(f32({2, 2}, {1, -2, 3, 0}))), 7); }

TEST_P(WeightDecay, Gradient) {
  Parameter w = random_parameter(device_, "w", {4, 5}, 1);
  EXPECT_LT(gradient_error({&w}, [&](Tape& tape) { return weight_decay(tape.watch(w)); }), gradient_tolerance);
}

TEST_P(WeightDecay, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    EXPECT_LT(float_error({random_tensor(device_, {rows, 33}, Dtype::f32, 1)},
                          [](const auto& in) { return weight_decay(in[0]); }),
              1e-6);
  }
}

TEST_F(WeightDecayOnCpu, SameBitsWithAnyNumberOfThreads) {
  const Tensor w = random_tensor(device_, {400, 401}, Dtype::f64, 1);
  const int before = threads();
  set_threads(1);
  const double one = number(weight_decay(w));
  set_threads(3);
  EXPECT_EQ(number(weight_decay(w)), one);
  set_threads(before);
}

TEST_P(WeightDecay, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      Parameter w("w", exact_tensor(device, {rows, cols}, Dtype::f32, 1));
      Tape tape;
      const Variable loss = weight_decay(tape.watch(w));
      tape.backward(loss);
      return std::vector<Value>{loss.value, materialize(w.gradient, device, {rows, cols}, Dtype::f32)};
    });
  });
}

TEST_P(WeightDecay, Refusals) {
  EXPECT_REFUSED(weight_decay(i32({1}, {1})), "weight_decay: expected f32 or f64");
  EXPECT_REFUSED(weight_decay(Value(random_row_sparse(device_, 2, 4, 2, Dtype::f32, 1))),
                 "weight_decay: expected a dense");
}

}  // namespace
}  // namespace sae
