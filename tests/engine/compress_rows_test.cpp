#include "engine/compress_rows.h"

#include "tests/support/tensors.h"

namespace sae {
namespace {

class CompressRows : public testing::CpuTest {};

TEST_F(CompressRows, ValuesByHand) {
  const CompressedRows y =
      compress_rows<float>(f32({3, 3}, {1, -2, 3, 4, 5, 6, 7, 8, -9}),
                           [](int64_t row, int64_t col, float value) { return row != 1 && (value < 0 || col == 0); });
  EXPECT_EQ(y.offsets.to_vector<int64_t>(), (std::vector<int64_t>{0, 2, 2, 4}));
  EXPECT_EQ(y.index.to_vector<int32_t>(), (std::vector<int32_t>{0, 1, 0, 2}));
  EXPECT_EQ(y.values.to_vector<float>(), (std::vector<float>{1, -2, 7, -9}));
  EXPECT_EQ(y.cols, 3);
}

TEST_F(CompressRows, EdgeSizes) {
  for (const int64_t rows : testing::edge_sizes) {
    for (const int64_t cols : testing::edge_sizes) {
      const Tensor x = testing::random_tensor(device_, {rows, cols}, Dtype::f64, 1);
      std::vector<double> expected = testing::to_double(x);
      for (double& value : expected) value = value > 0.3 ? value : 0;
      const CompressedRows y = compress_rows<double>(x, [](int64_t, int64_t, double value) { return value > 0.3; });
      EXPECT_EQ(testing::dense_values(y), expected);
      EXPECT_EQ(y.stored(), std::count_if(expected.begin(), expected.end(), [](double v) { return v != 0; }));
      EXPECT_EQ(compress_rows<double>(x, [](int64_t, int64_t, double) { return true; }).stored(), rows * cols);
    }
  }
}

}  // namespace
}  // namespace sae
