#pragma once

#include <cstdint>

#include "engine/simd.h"

namespace sae {

// Sums over the columns of a [rows, stride] matrix, in double, for up to 64 neighbouring columns at a time. The float
// forms use the widest registers of the processor; the templates are the reference, with the same bits on equal
// numbers.

constexpr int64_t column_block = 64;

// clang-format off
SIMD_DECLARE(void column_block_sums(const float* x, int64_t rows, int64_t stride, int64_t cols, double* sums))
SIMD_DECLARE(double column_block_squares(const float* x, int64_t rows, int64_t stride, int64_t cols, const double* centre))
// clang-format on

/// sums[col] = the sum over the rows of x[row * stride + col], rows ascending; cols <= column_block.
inline void column_block_sums(const float* x, int64_t rows, int64_t stride, int64_t cols, double* sums) {
  SIMD_CALL(column_block_sums, x, rows, stride, cols, sums);
}
inline void column_block_sums(const double* x, int64_t rows, int64_t stride, int64_t cols, double* sums) {
  for (int64_t col = 0; col < cols; ++col) sums[col] = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) sums[col] += x[row * stride + col];
  }
}

/// The sum of (x - centre[col])^2: within a row, column i enters running sum i % 8 and the eight are added as a tree
/// (lane_sum in engine/ordered_sum.h); rows ascend.
inline double column_block_squares(const float* x, int64_t rows, int64_t stride, int64_t cols, const double* centre) {
  return SIMD_CALL(column_block_squares, x, rows, stride, cols, centre);
}
double column_block_squares(const double* x, int64_t rows, int64_t stride, int64_t cols, const double* centre);

}  // namespace sae
