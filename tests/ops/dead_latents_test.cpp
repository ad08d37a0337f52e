#include "ops/dead_latents/dead_latents.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class DeadLatentsTest : public DeviceTest {
 protected:
  std::vector<int32_t> listed(const std::vector<int64_t>& rows_since_fired, int64_t dead_after, int64_t capacity,
                              int expected_dead) {
    DeadLatents dead(device_, rows_since_fired, dead_after, capacity);
    Writable count = Tensor::empty(device_, {1}, Dtype::i32);
    dead.list(count.data<int32_t>());
    EXPECT_EQ(std::move(count).freeze().item<int32_t>(), expected_dead);
    return dead.listed().to_vector<int32_t>();
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, DeadLatentsTest, ::testing::Values(DeviceKind::simt, DeviceKind::cuda), device_name);

TEST_P(DeadLatentsTest, ListsTheDeadInOrder) {
  const std::vector<int64_t> rows = {5, 10, 0, 11, 9, 10};
  EXPECT_EQ(listed(rows, 10, 5, 3), (std::vector<int32_t>{1, 3, 5, 6, 6}));
  EXPECT_EQ(listed(rows, 10, 2, 3), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(listed(rows, 10, 0, 3), (std::vector<int32_t>{}));
  EXPECT_EQ(listed(rows, 12, 3, 0), (std::vector<int32_t>{6, 6, 6}));
  std::vector<int64_t> many(1000);
  for (size_t j = 0; j < many.size(); ++j) many[j] = j % 3 == 0 ? 7 : 6;
  const std::vector<int32_t> found = listed(many, 7, 334, 334);
  for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], static_cast<int32_t>(3 * i));
}

TEST_P(DeadLatentsTest, CountsRowsSinceALatentFired) {
  DeadLatents dead(device_, {100, 200, 300, 400}, 10, 4);
  const Tensor active = Tensor::zeros(device_, {1}, Dtype::i32);
  const RowSparse latents = {Columns(i32({3, 2}, {0, 1, 0, 2, 1, 2})), f32({3, 2}, {1, 0.5f, 2, 0.1f, -1, 0}), 4};
  dead.count(latents, 0.1f, const_cast<int*>(active.data<int32_t>()));
  EXPECT_EQ(dead.rows_since_fired(), (std::vector<int64_t>{0, 0, 303, 403}));
  EXPECT_EQ(active.item<int32_t>(), 3);
}

TEST_P(DeadLatentsTest, Refusals) {
  EXPECT_REFUSED(DeadLatents(device_, {1, 2, 3}, 1, 4), "dead_latents: room for 4 of 3");
  const auto host = Device::open(DeviceKind::cpu);
  EXPECT_REFUSED(DeadLatents(*host, {1, 2, 3}, 1, 1), "dead_latents");
}

}  // namespace
}  // namespace sae
