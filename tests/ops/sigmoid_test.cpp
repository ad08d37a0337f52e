#include "ops/sigmoid/sigmoid.h"

#include "tests/support/devices.h"
#include "tests/support/float_check.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class Sigmoid : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Sigmoid, every_device, device_name);

TEST_P(Sigmoid, ValuesByHand) {
  const Tensor y = std::get<Tensor>(sigmoid(f64({4}, {0, std::log(3.0), 1000, -1000})).value);
  EXPECT_EQ(y.to_vector<double>()[0], 0.5);
  EXPECT_NEAR(y.to_vector<double>()[1], 0.75, 1e-15);
  EXPECT_EQ(y.to_vector<double>()[2], 1);
  EXPECT_EQ(y.to_vector<double>()[3], 0);
}

TEST_P(Sigmoid, Gradient) {
  Parameter x = random_parameter(device_, "x", {6, 11}, 1);
  const auto f = [&](Tape& tape) { return sigmoid(tape.watch(x)); };
  EXPECT_LT(gradient_error({&x}, f), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, f, random_row_sparse(device_, 6, 11, 4, Dtype::f64, 2)), gradient_tolerance);
  EXPECT_LT(gradient_error({&x}, f, random_compressed(device_, 6, 11, Dtype::f64, 3)), gradient_tolerance);
}

TEST_P(Sigmoid, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      EXPECT_LT(float_error({random_tensor(device_, {rows, cols}, Dtype::f32, 1)},
                            [](const auto& in) { return sigmoid(in[0]); }),
                1e-6);
    }
  }
}

TEST_P(Sigmoid, CloseOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_close(device_, 1e-6, [&](Device& device) {
      Parameter x("x", exact_tensor(device, {rows, cols}, Dtype::f32, 1));
      Tape tape;
      const Variable y = sigmoid(tape.watch(x));
      tape.backward(y, exact_tensor(device, {rows, cols}, Dtype::f32, 2));
      return std::vector<Value>{y.value, materialize(x.gradient, device, {rows, cols}, Dtype::f32)};
    });
  });
}

TEST_P(Sigmoid, Refusals) {
  EXPECT_REFUSED(sigmoid(i32({1}, {1})), "sigmoid: expected f32 or f64");
  EXPECT_REFUSED(sigmoid(Value(random_row_sparse(device_, 2, 4, 2, Dtype::f32, 1))), "sigmoid: expected a dense");
}

}  // namespace
}  // namespace sae
