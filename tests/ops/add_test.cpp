#include "ops/add/add.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;

class Add : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Add, testing::every_device, testing::device_name);

TEST_P(Add, ValuesByHand) {
  const Tensor a = f64({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_THAT(add(a, a).to_vector<double>(), ::testing::ElementsAre(2, 4, 6, 8, 10, 12, 14, 16));
  // two rows that repeat
  EXPECT_THAT(add(a, f64({2, 2}, {10, 20, 30, 40})).to_vector<double>(),
              ::testing::ElementsAre(11, 22, 33, 44, 15, 26, 37, 48));
  EXPECT_THAT(a.to_vector<double>(), ::testing::ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));  // somebody else holds it
}

TEST_P(Add, WritesInPlaceWhenNobodyElseHoldsTheInput) {
  Tensor a = random_tensor(device_, {2, 4}, Dtype::f32, 1);
  const void* memory = a.raw();
  EXPECT_EQ(add(std::move(a), f32({1, 4}, {1, 2, 3, 4})).raw(), memory);
}

TEST_P(Add, EveryElementAtEdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    for (const int64_t cols : testing::edge_sizes) {
      const Tensor a = random_tensor(device_, {rows, cols}, Dtype::f32, 1);
      const Tensor b = random_tensor(device_, {rows, cols}, Dtype::f32, 2);
      const auto x = a.to_vector<float>(), y = b.to_vector<float>(), sum = add(a, b).to_vector<float>();
      for (size_t i = 0; i < sum.size(); ++i) ASSERT_EQ(sum[i], x[i] + y[i]) << rows << " x " << cols;
    }
  }
}

TEST_P(Add, Refusals) {
  const Tensor a = f32({3, 2}, std::vector<float>(6, 1.0f));
  EXPECT_REFUSED(add(a, f32({2, 2}, {1, 2, 3, 4})), "add: f32 [2, 2] to f32 [3, 2]");
  EXPECT_REFUSED(add(a, f32({3, 1}, {1, 2, 3})), "add: f32 [3, 1]");
  EXPECT_REFUSED(add(a, a.to(Dtype::f64)), "add: f64 [3, 2]");
  EXPECT_REFUSED(add(i32({1, 1}, {1}), i32({1, 1}, {1})), "add");
  Tape tape;
  Parameter parameter("a", a);
  EXPECT_REFUSED(add(tape.watch(parameter), a), "add: it has no backward");
  EXPECT_REFUSED(add(a, tape.watch(parameter)), "add: it has no backward");
}

}  // namespace
}  // namespace sae
