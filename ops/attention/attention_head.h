#pragma once

// Shared with attention_simd.cpp, so: no standard header with templates (see engine/simd.h).

#include <cstdint>

#include "engine/simd.h"

namespace sae {

/// One head of one context. Query i attends to the last `window` of the first keys - queries + 1 + i keys. Strides are
/// in elements.
template <class T, class Out>
struct AttentionHead {
  const T* q;  // [queries, head_dim]
  int64_t q_stride;
  const T* k;  // [keys, head_dim]
  const T* v;  // [keys, head_dim]
  int64_t kv_stride;
  Out* y;  // [queries, head_dim]
  int64_t y_stride;
  int64_t queries, keys, head_dim;
  int64_t window;  // at least 1
  T scale;

  /// The keys [first_visible, end_visible) are those that query i sees.
  int64_t end_visible(int64_t i) const { return keys - queries + 1 + i; }
  int64_t first_visible(int64_t i) const { return end_visible(i) > window ? end_visible(i) - window : 0; }
};

// clang-format off
// head_dim is a multiple of 16. `packed` is what pack_keys made of head.k; head.y of uint16_t is bfloat16.
SIMD_DECLARE(void pack_keys(const float* k, int64_t stride, int64_t keys, int64_t head_dim, float* packed))
SIMD_DECLARE(void attend(const AttentionHead<float, float>& head, const float* packed, float* scores))
SIMD_DECLARE(void attend(const AttentionHead<float, uint16_t>& head, const float* packed, float* scores))
// clang-format on

}  // namespace sae
