#include "ops/sigmoid/sigmoid.h"

#include "tests/support/float_check.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class Sigmoid : public CpuTest {};

TEST_F(Sigmoid, ValuesByHand) {
  const Tensor y = std::get<Tensor>(sigmoid(f64({4}, {0, std::log(3.0), 1000, -1000})).value);
  EXPECT_EQ(y.data<double>()[0], 0.5);
  EXPECT_NEAR(y.data<double>()[1], 0.75, 1e-15);
  EXPECT_EQ(y.data<double>()[2], 1);
  EXPECT_EQ(y.data<double>()[3], 0);
}

TEST_F(Sigmoid, Gradient) {
  Parameter x = random_parameter(device_, "x", {6, 11}, 1);
  const auto f = [&](Tape& tape) { return sigmoid(tape.watch(x)); };
  EXPECT_LT(gradient_error({&x}, f), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, f, random_row_sparse(device_, 6, 11, 4, Dtype::f64, 2)), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, f, random_compressed(device_, 6, 11, Dtype::f64, 3)), gradient_tolerance);
}

TEST_F(Sigmoid, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      EXPECT_LT(float_error({random_tensor(device_, {rows, cols}, Dtype::f32, 1)},
                            [](const auto& in) { return sigmoid(in[0]); }),
                1e-6);
    }
  }
}

TEST_F(Sigmoid, Refusals) {
  EXPECT_REFUSED(sigmoid(i32({1}, {1})), "sigmoid: expected f32 or f64");
  EXPECT_REFUSED(sigmoid(Value(random_row_sparse(device_, 2, 4, 2, Dtype::f32, 1))), "sigmoid: expected a dense");
}

}  // namespace
}  // namespace sae
