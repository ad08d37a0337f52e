#pragma once

#include <cstdint>

#include "engine/stream.h"
#include "ops/attention/attention_batch.h"

namespace sae {

/// Bytes of a block's own memory for heads of that many elements of `element` bytes, and how many a block may have.
constexpr int64_t attention_block_bytes(int64_t head_dim, int64_t element) {
  return (2 * 16 * head_dim + 16 * 32 + 32 * (2 * head_dim + 1)) * element;
}
constexpr int64_t max_attention_block_bytes = 227 * 1024;  // sm_90

/// Causal attention of every head: softmax and sum in one pass over the keys, 32 at a time (Milakov and Gimelshein
/// 2018; Dao et al. 2022), so that no matrix of scores is written. A row's result depends on its own keys and on their
/// places in the context alone. T, Out: float, float or bfloat16, or double.
SIMT_DECLARE(template <class T, class Out> void attend(const Stream& stream, const AttentionBatch<T, Out>& batch))

/// to [rows, cols] = the columns [first, first + cols) of from [rows, from_cols]: keys and values into the cache.
SIMT_DECLARE(void copy_columns(const Stream& stream, const float* from, int64_t from_cols, int64_t first, float* to,
                               int64_t rows, int64_t cols))

}  // namespace sae
