#include "ops/rms_norm/rms_norm.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;
using testing::to_double;
using testing::worst_difference;

class RmsNorm : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, RmsNorm, testing::every_device, testing::device_name);

TEST_P(RmsNorm, ValuesByHand) {
  // mean of squares (9 + 16 + 0 + 0) / 4 = 6.25, root 2.5
  const Tensor y = rms_norm(f64({1, 4}, {3, -4, 0, 0}), f64({4}, {1, 2, 3, 4}), 0, Dtype::f64);
  EXPECT_THAT(y.to_vector<double>(), ::testing::ElementsAre(::testing::DoubleEq(1.2), ::testing::DoubleEq(-3.2), 0, 0));
  // epsilon 6 added to 0.25 * 12 = 3 under the root
  const Tensor z = rms_norm(f32({1, 4}, {2, 2, 2, 0}), f32({4}, {1, 1, 3, 1}), 6, Dtype::f32);
  EXPECT_THAT(z.to_vector<float>(), ::testing::ElementsAre(::testing::FloatEq(2.0f / 3), ::testing::FloatEq(2.0f / 3),
                                                           ::testing::FloatEq(2), 0));
}

TEST_P(RmsNorm, ZeroRowStaysZero) {
  EXPECT_THAT(rms_norm(f32({1, 3}, {0, 0, 0}), f32({3}, {1, 1, 1}), 1e-5, Dtype::f32).to_vector<float>(),
              ::testing::ElementsAre(0, 0, 0));
}

TEST_P(RmsNorm, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    for (const int64_t width : testing::edge_sizes) {
      const Tensor x = random_tensor(device_, {rows, width}, Dtype::f64, 1);
      const Tensor gain = random_tensor(device_, {width}, Dtype::f64, 2);
      const auto expected = to_double(rms_norm(x, gain, 1e-5, Dtype::f64));
      const Tensor x32 = x.to(Dtype::f32), gain32 = gain.to(Dtype::f32);
      EXPECT_LT(worst_difference(to_double(rms_norm(x32, gain32, 1e-5, Dtype::f32)), expected), 1e-6)
          << rows << " x " << width;
      EXPECT_LT(worst_difference(to_double(rms_norm(x32, gain32, 1e-5, Dtype::bf16)), expected), 1.0 / 256)
          << rows << " x " << width;
    }
  }
}

TEST_P(RmsNorm, Bfloat16OutputIsTheRoundedFloatOutput) {
  const Tensor x = random_tensor(device_, {33, 257}, Dtype::f32, 3),
               gain = random_tensor(device_, {257}, Dtype::f32, 4);
  const Tensor direct = rms_norm(x, gain, 1e-5, Dtype::bf16);
  const Tensor rounded = rms_norm(x, gain, 1e-5, Dtype::f32).to(Dtype::bf16);
  EXPECT_EQ(direct.to_vector<bfloat16>(), rounded.to_vector<bfloat16>());
}

TEST_P(RmsNorm, HeadsAreRowsOfTheirOwn) {
  // columns 1 to 2 and 3 to 4 of each row; roots of the means of squares 5 and 1
  const Tensor x = f64({2, 6}, {9, 1, 7, -1, 1, 9, 9, 5, 5, 7, 1, 9});
  const auto y = rms_norm_heads(x, 1, 2, f64({2}, {1, 2}), 0).to_vector<double>();
  const std::vector<double> expected = {9, 0.2, 2.8, -1, 2, 9, 9, 1, 2, 1.4, 0.4, 9};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_DOUBLE_EQ(y[i], expected[i]) << i;
  EXPECT_EQ(x.to_vector<double>()[1], 1);  // somebody else holds x, so it is copied
  for (const int64_t rows : testing::edge_sizes) {
    for (const int64_t width : testing::edge_sizes) {
      if (width == 0) continue;
      const Tensor wide = random_tensor(device_, {rows, 3 * width + 2}, Dtype::f64, 1);
      const Tensor gain = random_tensor(device_, {width}, Dtype::f64, 2);
      const auto slow = to_double(rms_norm_heads(wide, 2, 3, gain, 1e-5));
      const auto fast = to_double(rms_norm_heads(wide.to(Dtype::f32), 2, 3, gain.to(Dtype::f32), 1e-5));
      EXPECT_LT(worst_difference(fast, slow), 1e-6) << rows << " x " << width;
    }
  }
}

TEST_P(RmsNorm, CloseOnEveryDevice) {
  testing::expect_close(device_, 1e-6, [](Device& device) {
    const Tensor x = random_tensor(device, {33, 257}, Dtype::f32, 1),
                 gain = random_tensor(device, {257}, Dtype::f32, 2);
    const Tensor head_gain = random_tensor(device, {32}, Dtype::f32, 3);
    return std::vector<Value>{rms_norm(x, gain, 1e-5, Dtype::f32), rms_norm_heads(x, 33, 7, head_gain, 1e-5)};
  });
}

TEST_P(RmsNorm, Refusals) {
  const Tensor x = f32({2, 4}, std::vector<float>(8, 1.0f)), gain = f32({4}, {1, 1, 1, 1});
  EXPECT_REFUSED(rms_norm(x, f32({3}, {1, 1, 1}), 0, Dtype::f32), "rms_norm: a gain f32 [3]");
  EXPECT_REFUSED(rms_norm(x, f64({4}, {1, 1, 1, 1}), 0, Dtype::f32), "same dtype");
  EXPECT_REFUSED(rms_norm(x, gain, 0, Dtype::f64), "rms_norm: an output of f64");
  EXPECT_REFUSED(rms_norm(x, gain, -1, Dtype::f32), "epsilon");
  EXPECT_REFUSED(rms_norm(x.to(Dtype::bf16), gain, 0, Dtype::bf16), "expected f32 or f64");
  EXPECT_REFUSED(rms_norm_heads(x, 1, 1, gain, 0), "rms_norm_heads: 1 heads from column 1 on, with a gain f32 [4]");
  EXPECT_REFUSED(rms_norm_heads(x, 0, 1, gain.to(Dtype::f64), 0), "rms_norm_heads: 1 heads from column 0");
  EXPECT_REFUSED(rms_norm_heads(x, 0, 1, gain, -1), "rms_norm_heads: expected an epsilon");
  Tape tape;
  Parameter parameter("x", x);
  EXPECT_REFUSED(rms_norm_heads(tape.watch(parameter), 0, 1, gain, 0), "rms_norm_heads: it has no backward");
  EXPECT_REFUSED(rms_norm(tape.watch(parameter), gain, 0, Dtype::f32), "rms_norm: it has no backward");
}

}  // namespace
}  // namespace sae
