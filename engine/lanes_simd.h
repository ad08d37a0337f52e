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
/// The lanes added as a tree of neighbouring halves: 8 + 8, 4 + 4, 2 + 2, 1 + 1. In registers: by way of memory this
/// took as long as all of a short dot product before it.
inline float sum_lanes(lanes value) {
  const auto eight = __builtin_shufflevector(value, value, 0, 1, 2, 3, 4, 5, 6, 7) +
                     __builtin_shufflevector(value, value, 8, 9, 10, 11, 12, 13, 14, 15);
  const auto four =
      __builtin_shufflevector(eight, eight, 0, 1, 2, 3) + __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
  const auto two = four + __builtin_shufflevector(four, four, 2, 3, 2, 3);
  return two[0] + two[1];
}

}  // namespace sae::SIMD_NAMESPACE
