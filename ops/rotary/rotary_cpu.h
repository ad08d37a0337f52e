#pragma once

#include <cstdint>

#include "ops/rotary/rotary_heads.h"

namespace sae::cpu {

/// What it means, in float or double, in place: the heads of one row. `distance` is that of the two elements of a pair:
/// 1, or half of the dimensions.
template <class T>
void rotate_row(T* x, const RotaryHeads& heads, int64_t distance, const T* cosine, const T* sine) {
  for (int64_t h = 0; h < heads.count; ++h) {
    T* head = x + h * heads.size;
    for (int64_t i = 0; i < heads.dimensions; ++i) {
      if (i / distance % 2 != 0) continue;  // the second of a pair
      const int64_t j = i + distance;
      const T a = head[i], b = head[j];
      head[i] = a * cosine[i] + b * sine[i];
      head[j] = b * cosine[j] + a * sine[j];
    }
  }
}

}  // namespace sae::cpu
