#pragma once

#include <cstdint>

#include "engine/simd.h"

namespace sae::cpu {

// clang-format off
SIMD_DECLARE(void average_row(const float* value, float decay, float fraction, float* average, int64_t count))
// clang-format on

/// average = decay average + fraction value, where fraction is 1 - decay; one row, or any part of a tensor.
inline void average_row(const float* value, float decay, float fraction, float* average, int64_t count) {
  SIMD_CALL(average_row, value, decay, fraction, average, count);
}
inline void average_row(const double* value, double decay, double fraction, double* average, int64_t count) {
  for (int64_t i = 0; i < count; ++i) average[i] = decay * average[i] + fraction * value[i];
}

/// out = scale average
template <class T>
void scaled(const T* average, T scale, T* out, int64_t count);

}  // namespace sae::cpu
