#pragma once

#include <cmath>
#include <cstdint>

#include "engine/simd.h"

namespace sae {

// clang-format off
SIMD_DECLARE(void layer_norm_row(const float* x, const float* gain, const float* bias, int64_t width, float epsilon, float* y))
SIMD_DECLARE(void layer_norm_row(const float* x, const float* gain, const float* bias, int64_t width, float epsilon, uint16_t* y))
// clang-format on

namespace cpu {

/// What it means, in float or double: one row, summed from the left.
template <class T>
void layer_norm_row(const T* x, const T* gain, const T* bias, int64_t width, T epsilon, T* y) {
  T sum = 0, squares = 0;
  for (int64_t j = 0; j < width; ++j) sum += x[j];
  const T mean = sum / static_cast<T>(width);
  for (int64_t j = 0; j < width; ++j) squares += (x[j] - mean) * (x[j] - mean);
  const T scale = 1 / std::sqrt(squares / static_cast<T>(width) + epsilon);
  for (int64_t j = 0; j < width; ++j) y[j] = gain[j] * ((x[j] - mean) * scale) + bias[j];
}

}  // namespace cpu
}  // namespace sae
