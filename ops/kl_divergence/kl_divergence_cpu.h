#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "engine/simd.h"

namespace sae {

// One pass over two rows, both shifted by their largest entries: sums[0] of e^p, [1] of e^q, [2] of e^p (p - q).
// clang-format off
SIMD_DECLARE(float largest_score(const float* x, int64_t count))
SIMD_DECLARE(void divergence_sums(const float* p, const float* q, int64_t count, float p_top, float q_top, float* sums))
// clang-format on

namespace cpu {

/// What it means, in float or double: one row, count at least 1.
template <class T>
T kl_divergence(const T* p, const T* q, int64_t count) {
  const T p_top = *std::max_element(p, p + count), q_top = *std::max_element(q, q + count);
  T p_sum = 0, q_sum = 0, difference = 0;
  for (int64_t j = 0; j < count; ++j) {
    const T weight = std::exp(p[j] - p_top);
    p_sum += weight;
    q_sum += std::exp(q[j] - q_top);
    difference += weight * ((p[j] - p_top) - (q[j] - q_top));
  }
  return difference / p_sum + (std::log(q_sum) - std::log(p_sum));
}

inline float fast_kl_divergence(const float* p, const float* q, int64_t count) {
  const float p_top = SIMD_CALL(largest_score, p, count), q_top = SIMD_CALL(largest_score, q, count);
  float sums[3];
  SIMD_CALL(divergence_sums, p, q, count, p_top, q_top, sums);
  return sums[2] / sums[0] + (std::log(sums[1]) - std::log(sums[0]));
}

}  // namespace cpu
}  // namespace sae
