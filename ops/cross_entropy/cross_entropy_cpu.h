#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "engine/simd.h"

namespace sae {

// clang-format off
SIMD_DECLARE(float largest(const float* x, int64_t count))
SIMD_DECLARE(float sum_of_exp(const float* x, int64_t count, float shift))
// clang-format on

namespace cpu {

/// What it means, in float or double: log(sum of e^x) over one row, count at least 1.
template <class T>
T log_sum_exp(const T* x, int64_t count) {
  const T top = *std::max_element(x, x + count);
  T sum = 0;
  for (int64_t j = 0; j < count; ++j) sum += std::exp(x[j] - top);
  return top + std::log(sum);
}

inline float fast_log_sum_exp(const float* x, int64_t count) {
  const float top = SIMD_CALL(largest, x, count);
  return top + std::log(SIMD_CALL(sum_of_exp, x, count, top));
}

}  // namespace cpu
}  // namespace sae
