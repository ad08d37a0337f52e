#include "ops/firings/firings.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

class Firings : public testing::DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Firings, testing::every_device, testing::device_name);

TEST_P(Firings, ByHand) {
  const Tensor dense = f32({3, 2}, {1, 0, 0.5f, -1, 0, 2});
  EXPECT_EQ(count_firings(dense), (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(count_firings(dense, 0.5), (std::vector<int64_t>{1, 1}));
}

TEST_P(Firings, EveryLayoutAgrees) {
  DensifyCount ignored;
  for (const int64_t rows : testing::edge_sizes) {
    const std::vector<Value> sparse = {testing::random_row_sparse(device_, rows, 600, 5, Dtype::f32, 1),
                                       testing::random_compressed(device_, rows, 600, Dtype::f64, 2)};
    for (const Value& value : sparse) {
      EXPECT_EQ(count_firings(value), count_firings(Value(densify(value, ignored)))) << describe(value);
    }
  }
}

TEST_P(Firings, RefusesIntegers) { EXPECT_REFUSED(count_firings(i32({1, 1}, {1})), "count_firings"); }

}  // namespace
}  // namespace sae
