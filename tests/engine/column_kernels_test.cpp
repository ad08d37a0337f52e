#include "engine/column_kernels.h"

#include <array>

#include "tests/support/tensors.h"

namespace sae {
namespace {

using namespace sae::testing;

class ColumnKernels : public CpuTest {};

TEST_F(ColumnKernels, FloatHasTheBitsOfDoubleOnTheSameNumbers) {
  constexpr int64_t stride = 70;
  for (const int64_t rows : {0, 1, 33}) {
    const Tensor x = random_tensor(device_, {rows, stride}, Dtype::f32, 1), x64 = x.to(Dtype::f64);
    for (int64_t cols = 0; cols <= column_block; ++cols) {
      std::array<double, column_block> sums{}, expected{}, centre{};
      const int64_t first = cols % 5;
      column_block_sums(x.data<float>() + first, rows, stride, cols, sums.data());
      column_block_sums(x64.data<double>() + first, rows, stride, cols, expected.data());
      EXPECT_EQ(sums, expected) << rows << " x " << cols;
      for (int64_t i = 0; i < cols; ++i) centre[static_cast<size_t>(i)] = 0.1 * static_cast<double>(i);
      const double squares = column_block_squares(x.data<float>() + first, rows, stride, cols, centre.data());
      EXPECT_EQ(squares, column_block_squares(x64.data<double>() + first, rows, stride, cols, centre.data()));
      double plain = 0;
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t i = 0; i < cols; ++i) {
          plain += std::pow(x64.data<double>()[row * stride + first + i] - centre[static_cast<size_t>(i)], 2);
        }
      }
      EXPECT_NEAR(squares, plain, 1e-12 * (1 + plain));
    }
  }
}

}  // namespace
}  // namespace sae
