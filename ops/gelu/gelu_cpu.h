#pragma once

#include <cmath>
#include <cstdint>

#include "engine/simd.h"

namespace sae {

// A row of y = gelu(x) * factor; without a factor (null), y = gelu(x). y of uint16_t is bfloat16.
// clang-format off
SIMD_DECLARE(void gelu_exact_row(const float* x, const float* factor, int64_t width, float* y))
SIMD_DECLARE(void gelu_exact_row(const float* x, const float* factor, int64_t width, uint16_t* y))
SIMD_DECLARE(void gelu_tanh_row(const float* x, const float* factor, int64_t width, float* y))
SIMD_DECLARE(void gelu_tanh_row(const float* x, const float* factor, int64_t width, uint16_t* y))
// clang-format on

namespace cpu {

/// What they mean, in float or double.
template <class T>
T gelu_exact(T x) {
  return x / 2 * std::erfc(-x * static_cast<T>(0.70710678118654752440));
}
template <class T>
T gelu_tanh(T x) {
  return x / 2 * (1 + std::tanh(static_cast<T>(0.79788456080286535588) * (x + static_cast<T>(0.044715) * x * x * x)));
}

}  // namespace cpu
}  // namespace sae
