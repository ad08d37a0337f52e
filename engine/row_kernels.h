#pragma once

#include <cstdint>

#include "engine/simd.h"

namespace sae {

// The row arithmetic that the sparse products, the norms and the optimiser share. The float forms use the widest
// registers of the processor and give the same bits on each; the templates are the reference, and serve double.

// clang-format off
SIMD_DECLARE(float dot(const float* a, const float* b, int64_t count))
SIMD_DECLARE(void paired_dots(const float* a, const int32_t* left, const float* b, const int32_t* right, int64_t count, int64_t width, float* out))
SIMD_DECLARE(void weighted_rows(const float* weights, const int32_t* rows, int64_t count, const float* matrix, int64_t width, float* out, int64_t ahead))
SIMD_DECLARE(void add_scaled(float* sum, float scale, const float* a, int64_t count))
SIMD_DECLARE(void scale_row(float* row, float scale, int64_t count))
// clang-format on

/// a . b over `count` elements.
inline float dot(const float* a, const float* b, int64_t count) { return SIMD_CALL(dot, a, b, count); }
inline double dot(const double* a, const double* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

/// out[i] = dot(row left[i] of a, row right[i] of b). For many pairs of which neighbours share their row of b, as where
/// they are sorted by it: rows of b that come next are fetched meanwhile.
inline void paired_dots(const float* a, const int32_t* left, const float* b, const int32_t* right, int64_t count,
                        int64_t width, float* out) {
  SIMD_CALL(paired_dots, a, left, b, right, count, width, out);
}

/// sum += scale * a
inline void add_scaled(float* sum, float scale, const float* a, int64_t count) {
  SIMD_CALL(add_scaled, sum, scale, a, count);
}
inline void add_scaled(double* sum, double scale, const double* a, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += scale * a[i];
}

/// out[width] = sum over j < count of weights[j] * matrix[rows[j]], j ascending; zeros when count is 0. Rows of weight
/// exactly 0 are skipped. `ahead` says that rows[count .. count + ahead) are listed too and will be wanted next, so
/// that they can be on their way: for sums whose lists lie one after the other.
inline void weighted_rows(const float* weights, const int32_t* rows, int64_t count, const float* matrix, int64_t width,
                          float* out, int64_t ahead = 0) {
  SIMD_CALL(weighted_rows, weights, rows, count, matrix, width, out, ahead);
}
inline void weighted_rows(const double* weights, const int32_t* rows, int64_t count, const double* matrix,
                          int64_t width, double* out, int64_t = 0) {
  for (int64_t i = 0; i < width; ++i) out[i] = 0;
  for (int64_t j = 0; j < count; ++j) {
    if (weights[j] != 0) add_scaled(out, weights[j], matrix + rows[j] * width, width);
  }
}

/// row *= scale
inline void scale_row(float* row, float scale, int64_t count) { SIMD_CALL(scale_row, row, scale, count); }
inline void scale_row(double* row, double scale, int64_t count) {
  for (int64_t i = 0; i < count; ++i) row[i] *= scale;
}

}  // namespace sae
