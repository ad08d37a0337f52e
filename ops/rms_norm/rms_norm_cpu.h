#pragma once

#include <cmath>
#include <cstdint>

#include "engine/simd.h"

namespace sae {

// clang-format off
SIMD_DECLARE(void rms_norm_row(const float* x, const float* gain, int64_t width, float epsilon, float* y))
SIMD_DECLARE(void rms_norm_row(const float* x, const float* gain, int64_t width, float epsilon, uint16_t* y))
// clang-format on

namespace cpu {

/// What it means, in float or double: one row, summed from the left.
template <class T>
void rms_norm_row(const T* x, const T* gain, int64_t width, T epsilon, T* y) {
  T sum = 0;
  for (int64_t j = 0; j < width; ++j) sum += x[j] * x[j];
  const T scale = 1 / std::sqrt(sum / static_cast<T>(width) + epsilon);
  for (int64_t j = 0; j < width; ++j) y[j] = gain[j] * (x[j] * scale);
}

}  // namespace cpu
}  // namespace sae
