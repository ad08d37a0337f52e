#include "ops/exponential/exponential.h"

#include "tests/support/devices.h"
#include "tests/support/float_check.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class Exponential : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Exponential, every_device, device_name);

TEST_P(Exponential, ValuesByHand) {
  const Tensor y = std::get<Tensor>(exponential(f64({3}, {0, 1, -2})).value);
  EXPECT_LT(worst_difference(to_double(y), {1, std::exp(1.0), std::exp(-2.0)}), 1e-15);
}

TEST_P(Exponential, Gradient) {
  Parameter x = random_parameter(device_, "x", {3, 5}, 1);
  EXPECT_LT(gradient_error({&x}, [&](Tape& tape) { return exponential(tape.watch(x)); }), gradient_tolerance);
}

TEST_P(Exponential, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t size : edge_sizes) {
    EXPECT_LT(
        float_error({random_tensor(device_, {size}, Dtype::f32, 1)}, [](const auto& in) { return exponential(in[0]); }),
        1e-6);
  }
}

TEST_P(Exponential, CloseOnEveryDevice) {
  for (const int64_t size : edge_sizes) {
    expect_close(device_, 1e-6, [&](Device& device) {
      Parameter x("x", exact_tensor(device, {size}, Dtype::f32, 1));
      Tape tape;
      const Variable y = exponential(tape.watch(x));
      tape.backward(y, exact_tensor(device, {size}, Dtype::f32, 2));
      return std::vector<Value>{y.value, materialize(x.gradient, device, {size}, Dtype::f32)};
    });
  }
}

TEST_P(Exponential, Refusals) {
  EXPECT_REFUSED(exponential(i32({1}, {1})), "exponential: expected f32 or f64");
  EXPECT_REFUSED(exponential(Value(random_row_sparse(device_, 2, 4, 2, Dtype::f32, 1))),
                 "exponential: expected a dense");
}

}  // namespace
}  // namespace sae
