#pragma once

#include <cstdint>

namespace sae {

/// Where the queries, keys and values of all heads of a batch of contexts lie. Strides are in elements.
template <class T, class Out>
struct AttentionBatch {
  const T* q;  // [contexts * queries, heads * head_dim]
  int64_t q_stride;
  const T* keys;    // [contexts * keys_each, kv_heads * head_dim]
  const T* values;  // likewise
  int64_t kv_stride;
  Out* y;                                // [contexts * queries, heads * head_dim], contiguous
  int64_t contexts, queries, keys_each;  // rows of q and of keys in each context
  int64_t heads, kv_heads, head_dim;
  int64_t window;  // at least 1
  T scale;

  /// The keys [first_visible, end_visible) of its context are those that query i sees.
  constexpr int64_t end_visible(int64_t i) const { return keys_each - queries + 1 + i; }
  constexpr int64_t first_visible(int64_t i) const { return end_visible(i) > window ? end_visible(i) - window : 0; }
};

}  // namespace sae
