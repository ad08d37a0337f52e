#pragma once

#include <cmath>
#include <cstdint>

#include "engine/simd.h"

namespace sae {

// clang-format off
SIMD_DECLARE(void swiglu_row(const float* gate, const float* up, int64_t width, float* y))
SIMD_DECLARE(void swiglu_row(const float* gate, const float* up, int64_t width, uint16_t* y))
// clang-format on

namespace cpu {

/// What it means, in float or double: one row.
template <class T>
void swiglu_row(const T* gate, const T* up, int64_t width, T* y) {
  for (int64_t j = 0; j < width; ++j) y[j] = gate[j] / (1 + std::exp(-gate[j])) * up[j];
}

}  // namespace cpu
}  // namespace sae
