#pragma once

#include <cstdint>

#include "engine/simd.h"

namespace sae {

// The row arithmetic that the sparse products, the norms and the optimiser share. The float forms use the widest
// registers of the processor and give the same bits on each; the templates are the reference, and serve double.

// clang-format off
SIMD_DECLARE(float dot(const float* a, const float* b, int64_t count))
SIMD_DECLARE(void weighted_rows(const float* weights, const int32_t* rows, int64_t count, const float* matrix, int64_t width, float* out))
// clang-format on

/// a . b over `count` elements.
inline float dot(const float* a, const float* b, int64_t count) { return SIMD_CALL(dot, a, b, count); }
inline double dot(const double* a, const double* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

/// out[width] = sum over j < count of weights[j] * matrix[rows[j]], j ascending; zeros when count is 0. Rows of weight
/// exactly 0 are skipped.
inline void weighted_rows(const float* weights, const int32_t* rows, int64_t count, const float* matrix, int64_t width,
                          float* out) {
  SIMD_CALL(weighted_rows, weights, rows, count, matrix, width, out);
}
inline void weighted_rows(const double* weights, const int32_t* rows, int64_t count, const double* matrix,
                          int64_t width, double* out) {
  for (int64_t i = 0; i < width; ++i) out[i] = 0;
  for (int64_t j = 0; j < count; ++j) {
    if (weights[j] == 0) continue;
    const double* row = matrix + rows[j] * width;
    for (int64_t i = 0; i < width; ++i) out[i] += weights[j] * row[i];
  }
}

}  // namespace sae
