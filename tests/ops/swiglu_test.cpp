#include "ops/swiglu/swiglu.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;
using testing::to_double;
using testing::worst_difference;

class Swiglu : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Swiglu, testing::every_device, testing::device_name);

TEST_P(Swiglu, ValuesByHand) {
  // silu(0) = 0; silu(log 3) = log 3 * 3/4; silu(-log 3) = -log 3 / 4
  const double log3 = std::log(3.0);
  const Tensor x = f64({2, 4}, {0, log3, 5, 2, -log3, 1, 8, 0});
  const auto y = swiglu(x, Dtype::f64).to_vector<double>();
  EXPECT_DOUBLE_EQ(y[0], 0);
  EXPECT_DOUBLE_EQ(y[1], 1.5 * log3);
  EXPECT_DOUBLE_EQ(y[2], -2 * log3);
  EXPECT_DOUBLE_EQ(y[3], 0);
  const auto fast = swiglu(x.to(Dtype::f32), Dtype::f32).to_vector<float>();
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(fast[i], y[i], 1e-6);
}

TEST_P(Swiglu, LargeGatesDoNotOverflow) {
  const Tensor x = f32({1, 8}, {200, -200, 88, -1e30f, 1, 1, 1, 1});
  const auto y = swiglu(x, Dtype::f32).to_vector<float>();
  EXPECT_FLOAT_EQ(y[0], 200);
  EXPECT_NEAR(y[1], 0, 1e-30);
  EXPECT_FLOAT_EQ(y[2], 88);
  EXPECT_EQ(y[3], 0);
}

TEST_P(Swiglu, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    for (const int64_t width : testing::edge_sizes) {
      const Tensor x = random_tensor(device_, {rows, 2 * width}, Dtype::f64, 1);
      const auto expected = to_double(swiglu(x, Dtype::f64));
      const Tensor x32 = x.to(Dtype::f32);
      EXPECT_LT(worst_difference(to_double(swiglu(x32, Dtype::f32)), expected), 1e-6) << rows << " x " << width;
      EXPECT_LT(worst_difference(to_double(swiglu(x32, Dtype::bf16)), expected), 1.0 / 256) << rows << " x " << width;
    }
  }
}

TEST_P(Swiglu, Bfloat16OutputIsTheRoundedFloatOutput) {
  const Tensor x = random_tensor(device_, {33, 514}, Dtype::f32, 3);
  EXPECT_EQ(swiglu(x, Dtype::bf16).to_vector<bfloat16>(), swiglu(x, Dtype::f32).to(Dtype::bf16).to_vector<bfloat16>());
}

TEST_P(Swiglu, CloseOnEveryDevice) {
  testing::expect_close(device_, 1e-6, [](Device& device) {
    return std::vector<Value>{swiglu(random_tensor(device, {33, 514}, Dtype::f32, 1), Dtype::f32)};
  });
}

TEST_P(Swiglu, Refusals) {
  EXPECT_REFUSED(swiglu(f32({1, 3}, {1, 2, 3}), Dtype::f32), "swiglu: expected an even number of columns");
  EXPECT_REFUSED(swiglu(f64({1, 2}, {1, 2}), Dtype::bf16), "swiglu: an output of bf16");
  EXPECT_REFUSED(swiglu(i32({1, 2}, {1, 2}), Dtype::f32), "swiglu: expected f32 or f64");
  Tape tape;
  Parameter parameter("x", f32({1, 2}, {1, 2}));
  EXPECT_REFUSED(swiglu(tape.watch(parameter), Dtype::f32), "swiglu: it has no backward");
}

}  // namespace
}  // namespace sae
