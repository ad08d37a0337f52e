#include "ops/clip_norm/clip_norm.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class ClipNorm : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, ClipNorm, every_device, device_name);

TEST_P(ClipNorm, ValuesByHand) {
  const std::vector<Tensor> gradients = {f32({1, 2}, {3, 0}), f32({1}, {-4})};
  double length = 0;
  const std::vector<Tensor> clipped = clip_norm(gradients, 2.5, &length);
  EXPECT_EQ(length, 5);
  EXPECT_EQ(clipped[0].to_vector<float>(), (std::vector<float>{1.5, 0}));
  EXPECT_EQ(clipped[1].to_vector<float>(), (std::vector<float>{-2}));
  const std::vector<Tensor> short_enough = clip_norm(gradients, 5);
  EXPECT_TRUE(short_enough[0].same_memory(gradients[0])) << "nothing had to be done";
}

TEST_P(ClipNorm, FloatAgreesWithDoubleAtEdgeSizes) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    const Tensor x = random_tensor(device_, {rows, cols}, Dtype::f32, 1);
    double length = 0, length64 = 0;
    const Tensor y = clip_norm({x}, 0.5, &length)[0], y64 = clip_norm({x.to(Dtype::f64)}, 0.5, &length64)[0];
    EXPECT_NEAR(length, length64, 1e-12 * length64);
    EXPECT_LT(worst_difference(to_double(y), to_double(y64)), 1e-6);
  });
}

TEST_P(ClipNorm, ParityAtEdgeSizes) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_close(device_, 1e-7, [&](Device& device) {
      return std::vector<Value>{clip_norm({random_tensor(device, {rows, cols}, Dtype::f32, 1)}, 0.5)[0]};
    });
  });
}

TEST_P(ClipNorm, Refusals) {
  EXPECT_REFUSED(clip_norm({f32({1}, {1})}, 0), "clip_norm: a largest length of 0");
  EXPECT_REFUSED(clip_norm({i32({1}, {1})}, 1), "clip_norm: expected f32 or f64");
}

}  // namespace
}  // namespace sae
