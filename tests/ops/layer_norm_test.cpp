#include "ops/layer_norm/layer_norm.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;
using testing::to_double;
using testing::worst_difference;

class LayerNorm : public DeviceTest {
 protected:
  Tensor ones(int64_t count) { return f32({count}, std::vector<float>(static_cast<size_t>(count), 1.0f)); }
  Tensor zeros(int64_t count) { return f32({count}, std::vector<float>(static_cast<size_t>(count), 0.0f)); }
};
INSTANTIATE_TEST_SUITE_P(Devices, LayerNorm, testing::every_device, testing::device_name);

TEST_P(LayerNorm, ValuesByHand) {
  // mean 2, differences 2, -2, 2, -2, root of their mean square 2
  const Tensor y =
      layer_norm(f64({1, 4}, {4, 0, 4, 0}), f64({4}, {1, 2, 3, 4}), f64({4}, {0, 0, 10, 1}), 0, Dtype::f64);
  EXPECT_THAT(y.to_vector<double>(), ::testing::ElementsAre(1, -2, 13, -3));
  // epsilon 12 added to a variance of 4 under the root
  const Tensor z = layer_norm(f32({1, 4}, {4, 0, 4, 0}), ones(4), zeros(4), 12, Dtype::f32);
  EXPECT_THAT(z.to_vector<float>(), ::testing::ElementsAre(0.5f, -0.5f, 0.5f, -0.5f));
}

TEST_P(LayerNorm, AConstantRowBecomesTheBias) {
  const Tensor y = layer_norm(f32({1, 3}, {7, 7, 7}), ones(3), f32({3}, {1, 2, 3}), 1e-5, Dtype::f32);
  EXPECT_THAT(y.to_vector<float>(), ::testing::ElementsAre(1, 2, 3));
}

TEST_P(LayerNorm, ALargeMeanCostsNoDigits) {
  std::vector<float> values;
  for (int i = 0; i < 64; ++i) values.push_back(4096.0f + (i % 2 == 0 ? 1.0f : -1.0f));
  const auto y = layer_norm(f32({1, 64}, values), ones(64), zeros(64), 0, Dtype::f32).to_vector<float>();
  for (size_t i = 0; i < 64; ++i) EXPECT_EQ(y[i], i % 2 == 0 ? 1.0f : -1.0f);
}

TEST_P(LayerNorm, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    for (const int64_t width : testing::edge_sizes) {
      if (width == 1) continue;  // a row of one element has variance 0: see AConstantRowBecomesTheBias
      const Tensor x = random_tensor(device_, {rows, width}, Dtype::f64, 1);
      const Tensor gain = random_tensor(device_, {width}, Dtype::f64, 2);
      const Tensor bias = random_tensor(device_, {width}, Dtype::f64, 3);
      const auto expected = to_double(layer_norm(x, gain, bias, 1e-5, Dtype::f64));
      const auto fast = [&](Dtype output) {
        return to_double(layer_norm(x.to(Dtype::f32), gain.to(Dtype::f32), bias.to(Dtype::f32), 1e-5, output));
      };
      EXPECT_LT(worst_difference(fast(Dtype::f32), expected), 2e-6) << rows << " x " << width;
      EXPECT_LT(worst_difference(fast(Dtype::bf16), expected), 1.0 / 256) << rows << " x " << width;
    }
  }
}

TEST_P(LayerNorm, Bfloat16OutputIsTheRoundedFloatOutput) {
  const Tensor x = random_tensor(device_, {33, 257}, Dtype::f32, 4),
               gain = random_tensor(device_, {257}, Dtype::f32, 5);
  const Tensor bias = random_tensor(device_, {257}, Dtype::f32, 6);
  EXPECT_EQ(layer_norm(x, gain, bias, 1e-5, Dtype::bf16).to_vector<bfloat16>(),
            layer_norm(x, gain, bias, 1e-5, Dtype::f32).to(Dtype::bf16).to_vector<bfloat16>());
}

TEST_P(LayerNorm, CloseOnEveryDevice) {
  testing::expect_close(device_, 1e-6, [](Device& device) {
    const Tensor gain = random_tensor(device, {257}, Dtype::f32, 2), bias = random_tensor(device, {257}, Dtype::f32, 3);
    return std::vector<Value>{
        layer_norm(random_tensor(device, {33, 257}, Dtype::f32, 1), gain, bias, 1e-5, Dtype::f32)};
  });
}

TEST_P(LayerNorm, Refusals) {
  const Tensor x = f32({2, 4}, std::vector<float>(8, 1.0f));
  EXPECT_REFUSED(layer_norm(x, ones(3), zeros(4), 0, Dtype::f32), "layer_norm: a gain f32 [3]");
  EXPECT_REFUSED(layer_norm(x, ones(4), zeros(5), 0, Dtype::f32), "layer_norm: a bias f32 [5]");
  EXPECT_REFUSED(layer_norm(x, ones(4), zeros(4), 0, Dtype::f64), "layer_norm: an output of f64");
  EXPECT_REFUSED(layer_norm(x, ones(4), zeros(4), -1, Dtype::f32), "epsilon");
  EXPECT_REFUSED(layer_norm(x.to(Dtype::bf16), ones(4), zeros(4), 0, Dtype::bf16), "expected f32 or f64");
  Tape tape;
  Parameter parameter("x", x);
  EXPECT_REFUSED(layer_norm(tape.watch(parameter), ones(4), zeros(4), 0, Dtype::f32), "layer_norm: it has no backward");
}

}  // namespace
}  // namespace sae
