#include "ops/attention/attention.h"

#include <cmath>
#include <cstring>

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/attention/attention_cpu.h"

namespace sae {
namespace {

/// Where the queries, keys and values of a batch of contexts lie.
template <class T, class Out>
struct Batch {
  const T* q;
  int64_t q_stride;
  const T* keys;
  const T* values;
  int64_t kv_stride;
  Out* y;
  int64_t contexts, queries, keys_each;  // rows of q and of keys in each context
  AttentionSizes sizes;

  AttentionHead<T, Out> head(int64_t context, int64_t query_head) const {
    const int64_t kv = query_head / (sizes.heads / sizes.kv_heads) * sizes.head_dim;
    const int64_t q_row = context * queries, kv_row = context * keys_each, dim = sizes.head_dim;
    return {q + q_row * q_stride + query_head * dim,
            q_stride,
            keys + kv_row * kv_stride + kv,
            values + kv_row * kv_stride + kv,
            kv_stride,
            y + q_row * sizes.query_columns() + query_head * dim,
            sizes.query_columns(),
            queries,
            keys_each,
            dim,
            sizes.window > 0 ? sizes.window : keys_each,
            sizes.scale > 0 ? static_cast<T>(sizes.scale) : 1 / std::sqrt(static_cast<T>(dim))};
  }
};

/// One task for each context and key/value head: the query heads of a group share its packed keys.
template <class T, class Out>
void attend_all(Device& device, const Batch<T, Out>& batch) {
  const AttentionSizes& sizes = batch.sizes;
  const int64_t group = sizes.heads / sizes.kv_heads;
  parallel_for(batch.contexts * sizes.kv_heads, 1, [&](int64_t begin, int64_t) {
    const int64_t context = begin / sizes.kv_heads, first = begin % sizes.kv_heads * group;
    if constexpr (std::is_same_v<T, float>) {
      const AttentionHead<T, Out> shared = batch.head(context, first);
      const int64_t packed_size = packed_keys_size(shared.keys, shared.head_dim);
      const auto scratch = device.allocate(static_cast<size_t>(packed_size + scores_size(shared.keys)) * sizeof(float));
      auto* packed = static_cast<float*>(scratch->data());
      SIMD_CALL(pack_keys, shared.k, shared.kv_stride, shared.keys, shared.head_dim, packed);
      for (int64_t h = first; h < first + group; ++h) {
        SIMD_CALL(attend, batch.head(context, h), packed, packed + packed_size);
      }
    } else {
      for (int64_t h = first; h < first + group; ++h) cpu::attend(batch.head(context, h));
    }
  });
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
  if (qkv.device().kind() != DeviceKind::cpu) refuse_device("attention", qkv.device().kind());
}

}  // namespace

Tensor attention(const Variable& qkv, const AttentionSizes& sizes, int64_t length, Dtype output) {
  const Tensor& in = require_constant("attention", qkv);
  check_sizes(in, sizes, output);
  CHECK(length > 0 && in.rows() % length == 0, "attention: {} rows are no whole number of contexts of {}", in.rows(),
        length);
  Writable y = Tensor::empty(in.device(), {in.rows(), sizes.query_columns()}, output);
  const auto run = [&](const auto* q, auto* to) {
    using T = std::remove_cvref_t<decltype(*q)>;
    using Out = std::remove_cvref_t<decltype(*to)>;
    const auto* keys = q + sizes.query_columns();
    attend_all(in.device(), Batch<T, Out>{q, in.cols(), keys, keys + sizes.kv_columns(), in.cols(), to,
                                          in.rows() / length, length, length, sizes});
  };
  if (in.dtype() == Dtype::f64) {
    run(in.data<double>(), y.data<double>());
  } else if (output == Dtype::bf16) {
    run(in.data<float>(), reinterpret_cast<uint16_t*>(y.data<bfloat16>()));
  } else {
    run(in.data<float>(), y.data<float>());
  }
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
  const float* q = in.data<float>();
  float* keys = cache.data<float>();
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(keys + (past + r) * kv_columns, q + r * in.cols() + sizes.query_columns(),
                static_cast<size_t>(kv_columns) * sizeof(float));
  }
  Writable y = Tensor::empty(in.device(), {rows, sizes.query_columns()}, output);
  const auto run = [&](auto* to) {
    using Out = std::remove_cvref_t<decltype(*to)>;
    attend_all(in.device(), Batch<float, Out>{q, in.cols(), keys, keys + sizes.kv_columns(), kv_columns, to,
                                              rows > 0 ? 1 : 0, rows, past + rows, sizes});
  };
  if (output == Dtype::bf16) {
    run(reinterpret_cast<uint16_t*>(y.data<bfloat16>()));
  } else {
    run(y.data<float>());
  }
  return std::move(y).freeze();
}

}  // namespace sae
