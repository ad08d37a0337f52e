#include "ops/subtract/subtract.h"

#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

class Subtract : public testing::DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Subtract, testing::every_device, testing::device_name);

TEST_P(Subtract, ValuesByHand) {
  const Variable y = subtract(f32({2, 2}, {1, 2, 3, 4}), f32({2, 2}, {4, 2, -1, 0.5f}));
  EXPECT_EQ(std::get<Tensor>(y.value).to_vector<float>(), (std::vector<float>{-3, 0, 4, 3.5f}));
}

TEST_P(Subtract, Gradient) {
  for (const int64_t rows : testing::edge_sizes) {
    Parameter a = testing::random_parameter(device_, "a", {rows, 3}, 1);
    Parameter b = testing::random_parameter(device_, "b", {rows, 3}, 2);
    const auto f = [&](Tape& tape) { return subtract(tape.watch(a), tape.watch(b)); };
    EXPECT_LT(testing::gradient_error({&a, &b}, f), testing::gradient_tolerance) << rows << " rows";
  }
}

TEST_P(Subtract, EqualBitsOnEveryDevice) {
  testing::for_edge_shapes([&](int64_t rows, int64_t cols) {
    testing::expect_equal_bits(device_, [&](Device& device) {
      Parameter b("b", testing::exact_tensor(device, {rows, cols}, Dtype::f32, 2));
      Tape tape;
      const Variable y = subtract(testing::exact_tensor(device, {rows, cols}, Dtype::f32, 1), tape.watch(b));
      tape.backward(y, testing::exact_tensor(device, {rows, cols}, Dtype::f32, 3));
      return std::vector<Value>{y.value, materialize(b.gradient, device, {rows, cols}, Dtype::f32)};
    });
  });
}

TEST_P(Subtract, Refusals) {
  EXPECT_REFUSED(subtract(f32({1, 2}, {1, 2}), f32({2, 1}, {1, 2})), "subtract");
  EXPECT_REFUSED(subtract(f32({1}, {1}), f64({1}, {1})), "subtract");
  EXPECT_REFUSED(
      subtract(Value(testing::random_row_sparse(device_, 2, 5, 2, Dtype::f32, 1)), f32({2, 5}, std::vector<float>(10))),
      "subtract");
}

}  // namespace
}  // namespace sae
