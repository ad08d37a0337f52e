#include "ops/gather_rows/gather_rows.h"

#include "tests/support/tensors.h"

namespace sae {
namespace {

using testing::CpuTest;
using testing::random_tensor;

class GatherRows : public CpuTest {};

TEST_F(GatherRows, ValuesByHand) {
  const Tensor table = f32({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor y = gather_rows(table, i32({4}, {2, 0, 2, 1}));
  EXPECT_EQ(y.describe(), "f32 [4, 2]");
  EXPECT_THAT(y.to_vector<float>(), ::testing::ElementsAre(5, 6, 1, 2, 5, 6, 3, 4));
  const Tensor tokens = Tensor::from(device_, {2}, std::vector<uint16_t>{1, 0});
  EXPECT_THAT(gather_rows(table.to(Dtype::f64), tokens).to_vector<double>(), ::testing::ElementsAre(3, 4, 1, 2));
  EXPECT_EQ(gather_rows(table.to(Dtype::bf16), tokens).to(Dtype::f32).to_vector<float>(),
            (std::vector<float>{3, 4, 1, 2}));
}

TEST_F(GatherRows, EdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    for (const int64_t width : testing::edge_sizes) {
      const Tensor table = random_tensor(device_, {7, width}, Dtype::f32, 1);
      std::vector<int32_t> index;
      for (int64_t r = 0; r < rows; ++r) index.push_back(static_cast<int32_t>(r * 5 % 7));
      const Tensor y = gather_rows(table, i32({rows}, index));
      ASSERT_EQ(y.rows(), rows);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t at = r * 5 % 7;
        EXPECT_EQ(y.slice_rows(r, r + 1).to_vector<float>(), table.slice_rows(at, at + 1).to_vector<float>());
      }
    }
  }
}

TEST_F(GatherRows, Refusals) {
  const Tensor table = f32({3, 1}, {1, 2, 3});
  EXPECT_REFUSED(gather_rows(table, i32({2}, {0, 3})), "gather_rows: index 3 at place 1 of a table of 3 rows");
  EXPECT_REFUSED(gather_rows(table, i32({1}, {-1})), "gather_rows: index -1");
  EXPECT_REFUSED(gather_rows(table, i64({1}, {0})), "gather_rows: expected i32 or u16");
  EXPECT_REFUSED(gather_rows(i32({1, 1}, {0}), i32({1}, {0})), "gather_rows: expected a table");
  Tape tape;
  Parameter parameter("table", table);
  EXPECT_REFUSED(gather_rows(tape.watch(parameter), i32({1}, {0})), "gather_rows: it has no backward");
}

}  // namespace
}  // namespace sae
