#include "ops/rotary/rotary.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;
using testing::to_double;
using testing::worst_difference;

class Rotary : public DeviceTest {
 protected:
  RotaryTable table(Dtype dtype, int64_t first, int64_t positions, int64_t head_dim, RotaryPairs pairs,
                    double base = 10000) {
    return RotaryTable::make(device_, dtype, first, positions, rotary_frequencies(head_dim, base), pairs);
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, Rotary, testing::every_device, testing::device_name);

TEST_P(Rotary, ValuesByHand) {
  // head_dim 4, base 100: pair 0 turns by the position, pair 1 by a tenth of it; position 2; one column behind the head
  const Tensor x = f64({1, 5}, {1, 0, 0, 1, 9});
  const auto y = rotary(x, 1, 4, table(Dtype::f64, 2, 1, 4, RotaryPairs::neighbours, 100)).to_vector<double>();
  EXPECT_DOUBLE_EQ(y[0], std::cos(2.0));
  EXPECT_DOUBLE_EQ(y[1], std::sin(2.0));
  EXPECT_DOUBLE_EQ(y[2], -std::sin(0.2));
  EXPECT_DOUBLE_EQ(y[3], std::cos(0.2));
  EXPECT_EQ(y[4], 9);
  // the same with pairs (0, 2) and (1, 3)
  const auto z = rotary(x, 1, 4, table(Dtype::f64, 2, 1, 4, RotaryPairs::halves, 100)).to_vector<double>();
  EXPECT_DOUBLE_EQ(z[0], std::cos(2.0));
  EXPECT_DOUBLE_EQ(z[2], std::sin(2.0));
  EXPECT_DOUBLE_EQ(z[1], -std::sin(0.2));
  EXPECT_DOUBLE_EQ(z[3], std::cos(0.2));
  EXPECT_EQ(x.to_vector<double>(), (std::vector<double>{1, 0, 0, 1, 9}));  // somebody else holds x, so it is copied
}

TEST_P(Rotary, PositionsStartAnewInEachContext) {
  const Tensor x = random_tensor(device_, {8, 12}, Dtype::f64, 1);
  const Tensor y = rotary(x, 2, 6, table(Dtype::f64, 3, 4, 6, RotaryPairs::neighbours));
  for (int64_t r = 0; r < 8; ++r) {
    const Tensor alone =
        rotary(x.slice_rows(r, r + 1), 2, 6, table(Dtype::f64, 3 + r % 4, 1, 6, RotaryPairs::neighbours));
    EXPECT_EQ(y.slice_rows(r, r + 1).to_vector<double>(), alone.to_vector<double>());
  }
}

TEST_P(Rotary, TurnsOnlyTheFirstElementsOfEachHead) {
  // two heads of six elements, four of them turned: as heads of four, and the others as they were
  const Tensor x = random_tensor(device_, {3, 12}, Dtype::f64, 2);
  const auto before = x.to_vector<double>();
  for (const RotaryPairs pairs : {RotaryPairs::neighbours, RotaryPairs::halves}) {
    const RotaryTable angles = table(Dtype::f64, 1, 3, 4, pairs);
    const auto y = rotary(x, 2, 6, angles).to_vector<double>();
    for (size_t row = 0; row < 3; ++row) {
      for (size_t head = 0; head < 2; ++head) {
        const size_t at = 12 * row + 6 * head;
        const Tensor part = f64({1, 4}, {before[at], before[at + 1], before[at + 2], before[at + 3]});
        const auto turned =
            rotary(part, 1, 4, table(Dtype::f64, 1 + static_cast<int64_t>(row), 1, 4, pairs)).to_vector<double>();
        for (size_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(y[at + i], turned[i]);
        EXPECT_EQ(y[at + 4], before[at + 4]);
        EXPECT_EQ(y[at + 5], before[at + 5]);
      }
    }
  }
}

TEST_P(Rotary, WritesInPlaceWhenNobodyElseHoldsTheInput) {
  Tensor x = random_tensor(device_, {2, 4}, Dtype::f32, 1);
  const void* memory = x.raw();
  EXPECT_EQ(rotary(std::move(x), 1, 4, table(Dtype::f32, 0, 2, 4, RotaryPairs::halves)).raw(), memory);
}

TEST_P(Rotary, FloatAgainstDoubleAtEdgeSizes) {
  for (const RotaryPairs pairs : {RotaryPairs::neighbours, RotaryPairs::halves}) {
    for (const int64_t head_dim : {2, 6, 16, 30, 32, 34, 64, 128}) {
      for (const int64_t rows : testing::edge_sizes) {
        const Tensor x = random_tensor(device_, {rows, 3 * head_dim + 5}, Dtype::f64, 7);
        const int64_t length = std::max<int64_t>(1, rows);
        const auto expected = to_double(rotary(x, 3, head_dim, table(Dtype::f64, 5, length, head_dim, pairs)));
        const auto actual =
            to_double(rotary(x.to(Dtype::f32), 3, head_dim, table(Dtype::f32, 5, length, head_dim, pairs)));
        EXPECT_LT(worst_difference(actual, expected), 3e-7) << head_dim << " x " << rows;
      }
    }
  }
}

// Products and sums without an exponential: the angles are the host's.
TEST_P(Rotary, EqualBitsOnEveryDevice) {
  for (const RotaryPairs pairs : {RotaryPairs::neighbours, RotaryPairs::halves}) {
    for (const int64_t rows : {0, 33, 257}) {
      testing::expect_equal_bits(device_, [&](Device& device) {
        const std::vector<double> frequencies = rotary_frequencies(34, 10000);
        const auto angles = RotaryTable::make(device, Dtype::f32, 2, rows == 0 ? 1 : rows, frequencies, pairs);
        return std::vector<Value>{rotary(random_tensor(device, {rows, 130}, Dtype::f32, 1), 3, 40, angles)};
      });
    }
  }
}

TEST_P(Rotary, Refusals) {
  const RotaryTable angles = table(Dtype::f32, 0, 2, 4, RotaryPairs::halves);
  const Tensor x = f32({2, 4}, std::vector<float>(8, 1.0f));
  EXPECT_REFUSED(rotary(x, 2, 4, angles), "rotary: 2 heads of 4 in rows f32 [2, 4]");
  EXPECT_REFUSED(rotary(x.slice_rows(0, 1), 1, 4, angles), "rotary: 1 rows are no whole number of contexts of 2");
  EXPECT_REFUSED(rotary(x.to(Dtype::f64), 1, 4, angles), "in rows f64 [2, 4], with angles f32 [1, 4]");
  EXPECT_REFUSED(rotary(x, 1, 2, angles), "rotary: 1 heads of 2");
  EXPECT_REFUSED(table(Dtype::f32, 0, 1, 3, RotaryPairs::halves), "even number of dimensions");
  EXPECT_REFUSED(table(Dtype::f32, -1, 1, 4, RotaryPairs::halves), "rotary: 1 positions from -1");
  EXPECT_REFUSED(table(Dtype::bf16, 0, 1, 4, RotaryPairs::halves), "rotary");
  Tape tape;
  Parameter parameter("x", x);
  EXPECT_REFUSED(rotary(tape.watch(parameter), 1, 4, angles), "rotary: it has no backward");
}

}  // namespace
}  // namespace sae
