#include "ops/attention/attention.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/attention/attention_cpu.h"
#include "ops/attention/attention_cuda.h"

namespace sae {
namespace {

template <class T, class Out>
AttentionHead<T, Out> head_of(const AttentionBatch<T, Out>& batch, int64_t context, int64_t query_head) {
  const int64_t dim = batch.head_dim, y_stride = batch.heads * dim;
  const int64_t kv = query_head / (batch.heads / batch.kv_heads) * dim;
  const int64_t q_row = context * batch.queries, kv_row = context * batch.keys_each;
  return {batch.q + q_row * batch.q_stride + query_head * dim,
          batch.q_stride,
          batch.keys + kv_row * batch.kv_stride + kv,
          batch.values + kv_row * batch.kv_stride + kv,
          batch.kv_stride,
          batch.y + q_row * y_stride + query_head * dim,
          y_stride,
          batch.queries,
          batch.keys_each,
          dim,
          batch.window,
          batch.scale};
}

/// One task for each context and key/value head: the query heads of a group share its packed keys.
template <class T, class Out>
void attend_on_cpu(Device& device, const AttentionBatch<T, Out>& batch) {
  const int64_t group = batch.heads / batch.kv_heads;
  parallel_for(batch.contexts * batch.kv_heads, 1, [&](int64_t begin, int64_t) {
    const int64_t context = begin / batch.kv_heads, first = begin % batch.kv_heads * group;
    if constexpr (std::is_same_v<T, float>) {
      const auto shared = head_of(batch, context, first);
      const int64_t packed_size = packed_keys_size(shared.keys, shared.head_dim);
      const auto scratch = device.allocate(static_cast<size_t>(packed_size + scores_size(shared.keys)) * sizeof(float));
      auto* packed = static_cast<float*>(scratch->data());
      SIMD_CALL(pack_keys, shared.k, shared.kv_stride, shared.keys, shared.head_dim, packed);
      for (int64_t h = first; h < first + group; ++h) {
        SIMD_CALL(attend, head_of(batch, context, h), packed, packed + packed_size);
      }
    } else {
      for (int64_t h = first; h < first + group; ++h) cpu::attend(head_of(batch, context, h));
    }
  });
}

template <class T, class Out>
void attend_all(Device& device, const AttentionBatch<T, Out>& batch) {
  switch (device.kind()) {
    case DeviceKind::cpu:
      if constexpr (std::is_same_v<Out, bfloat16>) {  // the vectorised kernels know bfloat16 by its bits
        const AttentionBatch<T, uint16_t> bits = {batch.q,        batch.q_stride,  batch.keys,
                                                  batch.values,   batch.kv_stride, reinterpret_cast<uint16_t*>(batch.y),
                                                  batch.contexts, batch.queries,   batch.keys_each,
                                                  batch.heads,    batch.kv_heads,  batch.head_dim,
                                                  batch.window,   batch.scale};
        return attend_on_cpu(device, bits);
      } else {
        return attend_on_cpu(device, batch);
      }
    case DeviceKind::simt:
    case DeviceKind::cuda:
      CHECK(attention_block_bytes(batch.head_dim, sizeof(T)) <= max_attention_block_bytes,
            "attention: heads of {} elements are too long for the memory of a block of the {} device", batch.head_dim,
            name_of(device.kind()));
      return SIMT_CALL(device.kind(), attend, device.stream(), batch);
  }
}

void check_sizes(const Tensor& qkv, const AttentionSizes& sizes, Dtype output) {
  CHECK(sizes.kv_heads > 0 && sizes.heads > 0 && sizes.heads % sizes.kv_heads == 0 && sizes.head_dim > 0,
        "attention: {} query heads of {} elements over {} key/value heads", sizes.heads, sizes.head_dim,
        sizes.kv_heads);
  CHECK(sizes.window >= 0 && sizes.scale >= 0, "attention: a window of {} positions, or a scale of {}, below 0",
        sizes.window, sizes.scale);
  CHECK(qkv.cols() == sizes.query_columns() + 2 * sizes.kv_columns(),
        "attention: expected {} + 2 * {} columns of queries, keys and values, got {}", sizes.query_columns(),
        sizes.kv_columns(), qkv.describe());
  CHECK(qkv.dtype() == Dtype::f32 || qkv.dtype() == Dtype::f64, "attention: expected f32 or f64, got {}",
        qkv.describe());
  CHECK(output == qkv.dtype() || (output == Dtype::bf16 && qkv.dtype() == Dtype::f32),
        "attention: an output of {} from {}; it is the input's dtype, or bf16 from f32", name_of(output),
        qkv.describe());
  CHECK(qkv.dtype() == Dtype::f64 || sizes.head_dim % 16 == 0,
        "attention: heads of {} elements; in f32 a head has a multiple of 16", sizes.head_dim);
}

/// The batch with its sizes; window and scale of 0 replaced by what they stand for.
template <class T, class Out>
AttentionBatch<T, Out> batch_of(const AttentionSizes& sizes, AttentionBatch<T, Out> batch) {
  batch.heads = sizes.heads;
  batch.kv_heads = sizes.kv_heads;
  batch.head_dim = sizes.head_dim;
  batch.window = sizes.window > 0 ? sizes.window : std::max<int64_t>(1, batch.keys_each);
  batch.scale = sizes.scale > 0 ? static_cast<T>(sizes.scale) : 1 / std::sqrt(static_cast<T>(sizes.head_dim));
  return batch;
}

/// to [rows, cols] = the last `cols` columns of from [rows, from_cols], which begin at column `first`.
void append(Device& device, const float* from, int64_t from_cols, int64_t first, float* to, int64_t rows,
            int64_t cols) {
  switch (device.kind()) {
    case DeviceKind::cpu:
      for (int64_t r = 0; r < rows; ++r) std::copy_n(from + r * from_cols + first, cols, to + r * cols);
      return;
    case DeviceKind::simt:
    case DeviceKind::cuda:
      return SIMT_CALL(device.kind(), copy_columns, device.stream(), from, from_cols, first, to, rows, cols);
  }
}

}  // namespace

Tensor attention(const Variable& qkv, const AttentionSizes& sizes, int64_t length, Dtype output) {
  const Tensor& in = require_constant("attention", qkv);
  check_sizes(in, sizes, output);
  CHECK(length > 0 && in.rows() % length == 0, "attention: {} rows are no whole number of contexts of {}", in.rows(),
        length);
  Writable y = Tensor::empty(in.device(), {in.rows(), sizes.query_columns()}, output);
  visit_output(in.dtype(), output, [&](auto zero, auto out) {
    using T = decltype(zero);
    using Out = decltype(out);
    const T* q = in.data<T>();
    const T* keys = q + sizes.query_columns();
    attend_all(in.device(), batch_of<T, Out>(sizes, {q, in.cols(), keys, keys + sizes.kv_columns(), in.cols(),
                                                     y.data<Out>(), in.rows() / length, length, length}));
  });
  return std::move(y).freeze();
}

Tensor attention_step(const Variable& qkv, const AttentionSizes& sizes, Writable& cache, int64_t past, Dtype output) {
  const Tensor& in = require_constant("attention", qkv);
  check_sizes(in, sizes, output);
  const int64_t rows = in.rows(), kv_columns = 2 * sizes.kv_columns();
  CHECK(in.dtype() == Dtype::f32, "attention: a step with a cache takes f32, got {}", in.describe());
  CHECK(cache.shape().cols() == kv_columns && past >= 0 && past + rows <= cache.shape().rows(),
        "attention: {} rows after {} into a cache {}; it holds [positions, {}]", rows, past, cache.shape().to_string(),
        kv_columns);
  Device& device = in.device();
  const float* q = in.data<float>();
  float* keys = cache.data<float>();
  append(device, q, in.cols(), sizes.query_columns(), keys + past * kv_columns, rows, kv_columns);
  Writable y = Tensor::empty(device, {rows, sizes.query_columns()}, output);
  const auto run = [&](auto out) {
    using Out = decltype(out);
    attend_all(device, batch_of<float, Out>(sizes, {q, in.cols(), keys, keys + sizes.kv_columns(), kv_columns,
                                                    y.data<Out>(), rows > 0 ? 1 : 0, rows, past + rows}));
  };
  output == Dtype::bf16 ? run(bfloat16{}) : run(float{});
  return std::move(y).freeze();
}

}  // namespace sae
