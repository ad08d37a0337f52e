#pragma once

// For *_simd.cpp only: sixteen floats as one value. See engine/simd.h.

#include <cstdint>

namespace sae::SIMD_NAMESPACE {

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t int_lanes __attribute__((vector_size(64)));
constexpr int64_t lane_count = 16;

inline lanes load(const float* from) {
  lanes value;
  __builtin_memcpy(&value, from, sizeof(value));
  return value;
}
inline void store(float* to, lanes value) { __builtin_memcpy(to, &value, sizeof(value)); }
inline lanes broadcast(float value) { return lanes{} + value; }
/// mask is -1 or 0 in each lane
inline lanes select(int_lanes mask, lanes yes, lanes no) { return mask ? yes : no; }
/// The lanes added as a tree of neighbouring halves: 8 + 8, 4 + 4, 2 + 2, 1 + 1.
inline float sum_lanes(lanes value) {
  float part[16];
  store(part, value);
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) part[i] += part[i + width];
  }
  return part[0];
}

}  // namespace sae::SIMD_NAMESPACE
