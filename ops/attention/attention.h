#pragma once

#include "engine/tape.h"

namespace sae {

/// Query heads share the keys and values of fewer heads: query head h uses key/value head h / (heads / kv_heads).
struct AttentionSizes {
  int64_t heads, kv_heads, head_dim;
  int64_t window = 0;  ///< how many positions a query sees, its own included; 0: all from the first on
  double scale = 0;    ///< what scores are multiplied by; 0: 1 / sqrt(head_dim)
  int64_t query_columns() const { return heads * head_dim; }
  /// Columns of the keys and of the values: each.
  int64_t kv_columns() const { return kv_heads * head_dim; }
};

/// Causal attention within contexts of `length` rows. For each context and query head, with i, j positions in it:
///   y[i] = sum over j of p[i, j] v[j],   p[i, .] = softmax over j of (scale q[i] . k[j])
/// where j runs to i, from 0 or from the first position of i's window: i - window + 1.
///   qkv [rows, query_columns + 2 kv_columns] f32 or f64: queries, keys, values of all heads, as one product makes
///   them (rotated already); rows is a multiple of length. y [rows, query_columns].
/// `output` is qkv's dtype, or bf16 for an f32 input. Forward only: an input on a tape is refused.
Tensor attention(const Variable& qkv, const AttentionSizes& sizes, int64_t length, Dtype output);

/// The same for the next rows of one context whose first `past` positions lie in `cache`
/// [capacity, 2 kv_columns] f32 (keys, then values): appends the rows' keys and values to it and attends to all.
/// Gives the same bits as attention() over the whole context.
Tensor attention_step(const Variable& qkv, const AttentionSizes& sizes, Writable& cache, int64_t past, Dtype output);

}  // namespace sae
