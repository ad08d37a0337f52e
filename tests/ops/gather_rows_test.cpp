#include "ops/gather_rows/gather_rows.h"

#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;

class GatherRows : public DeviceTest {
 protected:
  static Tensor gathered(const Variable& table, const Tensor& index) {
    return std::get<Tensor>(gather_rows(table, index).value);
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, GatherRows, testing::every_device, testing::device_name);

TEST_P(GatherRows, ValuesByHand) {
  const Tensor table = f32({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor y = gathered(table, i32({4}, {2, 0, 2, 1}));
  EXPECT_EQ(y.describe(), "f32 [4, 2]");
  EXPECT_THAT(y.to_vector<float>(), ::testing::ElementsAre(5, 6, 1, 2, 5, 6, 3, 4));
  const Tensor tokens = Tensor::from(device_, {2}, std::vector<uint16_t>{1, 0});
  EXPECT_THAT(gathered(table.to(Dtype::f64), tokens).to_vector<double>(), ::testing::ElementsAre(3, 4, 1, 2));
  EXPECT_EQ(gathered(table.to(Dtype::bf16), tokens).to(Dtype::f32).to_vector<float>(),
            (std::vector<float>{3, 4, 1, 2}));
}

TEST_P(GatherRows, TheRowsOfAVectorAreItsElements) {
  const Tensor y = gathered(f32({3}, {1, 2, 3}), i32({2}, {2, 0}));
  EXPECT_EQ(y.describe(), "f32 [2]");
  EXPECT_THAT(y.to_vector<float>(), ::testing::ElementsAre(3, 1));
}

TEST_P(GatherRows, Gradient) {
  Parameter table = testing::random_parameter(device_, "table", {5, 3}, 1);
  Parameter vector = testing::random_parameter(device_, "vector", {5}, 2);
  const Tensor index = i32({4}, {4, 1, 4, 0});  // 4 is listed twice, 2 and 3 are not
  EXPECT_LT(testing::gradient_error({&table}, [&](Tape& tape) { return gather_rows(tape.watch(table), index); }),
            testing::gradient_tolerance);
  EXPECT_LT(testing::gradient_error({&vector}, [&](Tape& tape) { return gather_rows(tape.watch(vector), index); }),
            testing::gradient_tolerance);
  Tape tape;
  const Variable y = gather_rows(tape.watch(table), index);
  table.gradient.clear();
  tape.backward(y, y.value);
  EXPECT_TRUE(std::holds_alternative<RowsGradient>(table.gradient.terms().at(0))) << "the table's gradient is written";
}

TEST_P(GatherRows, EdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    for (const int64_t width : testing::edge_sizes) {
      const Tensor table = random_tensor(device_, {7, width}, Dtype::f32, 1);
      std::vector<int32_t> index;
      for (int64_t r = 0; r < rows; ++r) index.push_back(static_cast<int32_t>(r * 5 % 7));
      const Tensor y = gathered(table, i32({rows}, index));
      ASSERT_EQ(y.rows(), rows);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * 5 % 7;
        EXPECT_EQ(y.slice_rows(r, r + 1).to_vector<float>(), table.slice_rows(at, at + 1).to_vector<float>());
      }
    }
  }
}

TEST_P(GatherRows, EqualBitsOnEveryDevice) {
  testing::for_edge_shapes([&](int64_t rows, int64_t width) {
    testing::expect_equal_bits(device_, [&](Device& device) {
      std::vector<int32_t> index;
      std::vector<uint16_t> short_index;
      for (int64_t r = 0; r < rows; ++r) {
        index.push_back(static_cast<int32_t>(r * 5 % 7));
        short_index.push_back(static_cast<uint16_t>(r * 3 % 7));
      }
      Parameter table("table", random_tensor(device, {7, width}, Dtype::f32, 1));
      Tape tape;
      const Variable y = gather_rows(tape.watch(table), Tensor::from(device, {rows}, index));
      tape.backward(y, testing::exact_tensor(device, {rows, width}, Dtype::f32, 2));
      const Variable z = gather_rows(table.value().to(Dtype::bf16), Tensor::from(device, {rows}, short_index));
      return std::vector<Value>{y.value, z.value, materialize(table.gradient, device, {7, width}, Dtype::f32)};
    });
  });
}

TEST_P(GatherRows, Refusals) {
  const Tensor table = f32({3, 1}, {1, 2, 3});
  EXPECT_REFUSED(gather_rows(table, i32({2}, {0, 3})), "gather_rows: index 3 at place 1 of a table of 3 rows");
  EXPECT_REFUSED(gather_rows(table, i32({1}, {-1})), "gather_rows: index -1");
  EXPECT_REFUSED(gather_rows(table, i64({1}, {0})), "gather_rows: expected i32 or u16");
  EXPECT_REFUSED(gather_rows(i32({1, 1}, {0}), i32({1}, {0})), "gather_rows: expected a table");
  Tape tape;
  Parameter parameter("table", table);
  EXPECT_REFUSED(gather_rows(tape.watch(parameter), Tensor::from(device_, {1}, std::vector<uint16_t>{0})),
                 "gather_rows: f32 [3, 1] at u16 [1] has no backward");
}

}  // namespace
}  // namespace sae
