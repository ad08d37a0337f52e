#pragma once

#include <cstdint>

#include "engine/simd.h"

namespace sae {

// clang-format off
SIMD_DECLARE(void rotate_neighbours(float* x, int64_t heads, int64_t head_dim, const float* cosine, const float* sine))
SIMD_DECLARE(void rotate_halves(float* x, int64_t heads, int64_t head_dim, const float* cosine, const float* sine))
// clang-format on

namespace cpu {

/// What it means, in float or double, in place: `heads` heads of one row. `distance` is that of the two elements of a
/// pair: 1, or half of head_dim.
template <class T>
void rotate_row(T* x, int64_t heads, int64_t head_dim, int64_t distance, const T* cosine, const T* sine) {
  for (T* head = x; head < x + heads * head_dim; head += head_dim) {
    for (int64_t i = 0; i < head_dim; ++i) {
      if (i / distance % 2 != 0) continue;  // the second of a pair
      const int64_t j = i + distance;
      const T a = head[i], b = head[j];
      head[i] = a * cosine[i] + b * sine[i];
      head[j] = b * cosine[j] + a * sine[j];
    }
  }
}

}  // namespace cpu
}  // namespace sae
