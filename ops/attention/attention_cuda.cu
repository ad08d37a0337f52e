#include "ops/attention/attention_cuda.h"

#include <cmath>
#include <limits>

#include "engine/convert.h"
#include "engine/largest_kernels.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

constexpr int rows_of_warp = 4;  // query rows that share each key and value a lane reads
constexpr int warps = 4;
constexpr int tile_rows = rows_of_warp * warps;
constexpr int tile_keys = warp_lanes;  // a lane scores a key

/// The shared memory of a block.
template <class T>
struct Tile {
  T* q;        // [tile_rows, head_dim]
  T* y;        // [tile_rows, head_dim], not yet divided by the sum of the weights
  T* weights;  // [tile_rows, tile_keys]
  T* k;        // [tile_keys, head_dim + 1], so that lanes read from different banks
  T* v;        // [tile_keys, head_dim]

  SIMT_DEVICE Tile(T* memory, int dim)
      : q(memory),
        y(q + tile_rows * dim),
        weights(y + tile_rows * dim),
        k(weights + tile_rows * tile_keys),
        v(k + tile_keys * (dim + 1)) {}
};

/// What a warp knows of its rows: the largest score so far, the sum of e^(score - largest), and what the last tile of
/// keys scales everything before it by.
template <class T>
struct Softmax {
  T top[rows_of_warp], sum[rows_of_warp], correction[rows_of_warp];
};

/// A head of one context.
template <class T, class Out>
struct Head {
  const T* q;
  const T* k;
  const T* v;
  Out* y;

  SIMT_DEVICE Head(const AttentionBatch<T, Out>& p, int64_t context, int64_t head) {
    const int64_t kv = context * p.keys_each * p.kv_stride + head / (p.heads / p.kv_heads) * p.head_dim;
    q = p.q + context * p.queries * p.q_stride + head * p.head_dim;
    k = p.keys + kv;
    v = p.values + kv;
    y = p.y + context * p.queries * p.heads * p.head_dim + head * p.head_dim;
  }
};

/// Queries from row `first` on, zeros behind the last. The whole block calls it.
template <class T, class Out>
SIMT_DEVICE void load_queries(const AttentionBatch<T, Out>& p, const T* q, int64_t first, const Tile<T>& tile) {
  const int dim = static_cast<int>(p.head_dim);
  for (int i = static_cast<int>(threadIdx.x); i < tile_rows * dim; i += static_cast<int>(blockDim.x)) {
    const int64_t row = first + i / dim;
    tile.q[i] = row < p.queries ? q[row * p.q_stride + i % dim] : T{0};
    tile.y[i] = 0;
  }
}

/// Keys and values from key `first` on, likewise.
template <class T, class Out>
SIMT_DEVICE void load_keys(const AttentionBatch<T, Out>& p, const Head<T, Out>& head, int64_t first,
                           const Tile<T>& tile) {
  const int dim = static_cast<int>(p.head_dim);
  for (int i = static_cast<int>(threadIdx.x); i < tile_keys * dim; i += static_cast<int>(blockDim.x)) {
    const int64_t key = first + i / dim, at = key * p.kv_stride + i % dim;
    const bool there = key < p.keys_each;
    tile.k[i / dim * (dim + 1) + i % dim] = there ? head.k[at] : T{0};
    tile.v[i] = there ? head.v[at] : T{0};
  }
}

/// The weights of the tile's keys for the warp's rows: each lane those of its key.
template <class T, class Out>
SIMT_DEVICE void weigh_keys(const AttentionBatch<T, Out>& p, const Tile<T>& tile, int64_t first_row, int64_t first_key,
                            Softmax<T>& softmax) {
  const int dim = static_cast<int>(p.head_dim), lane = static_cast<int>(threadIdx.x % warp_lanes);
  const int of_warp = static_cast<int>(threadIdx.x / warp_lanes) * rows_of_warp;
  T score[rows_of_warp] = {};
  for (int d = 0; d < dim; ++d) {
    const T key = tile.k[lane * (dim + 1) + d];
    for (int r = 0; r < rows_of_warp; ++r) score[r] = std::fma(key, tile.q[(of_warp + r) * dim + d], score[r]);
  }
  for (int r = 0; r < rows_of_warp; ++r) {
    const int64_t row = first_row + of_warp + r, key = first_key + lane;
    const bool visible = row < p.queries && key >= p.first_visible(row) && key < p.end_visible(row);
    const T value = visible ? score[r] * p.scale : -std::numeric_limits<T>::infinity();
    const T before = softmax.top[r], largest = warp_max(value), top = largest > before ? largest : before;
    const T weight = visible ? std::exp(value - top) : T{0};
    softmax.correction[r] = top == before ? T{1} : std::exp(before - top);
    softmax.sum[r] = softmax.sum[r] * softmax.correction[r] + warp_sum(weight);
    softmax.top[r] = top;
    tile.weights[(of_warp + r) * tile_keys + lane] = weight;
  }
}

/// Adds the weighted values to the warp's rows: each lane its columns.
template <class T, class Out>
SIMT_DEVICE void add_values(const AttentionBatch<T, Out>& p, const Tile<T>& tile, const Softmax<T>& softmax) {
  const int dim = static_cast<int>(p.head_dim);
  const int of_warp = static_cast<int>(threadIdx.x / warp_lanes) * rows_of_warp;
  const T* weights = tile.weights + of_warp * tile_keys;
  for (int d = static_cast<int>(threadIdx.x % warp_lanes); d < dim; d += warp_lanes) {
    T* y = tile.y + of_warp * dim + d;
    T total[rows_of_warp];
    for (int r = 0; r < rows_of_warp; ++r) total[r] = y[r * dim] * softmax.correction[r];
    for (int j = 0; j < tile_keys; ++j) {
      const T value = tile.v[j * dim + d];
      for (int r = 0; r < rows_of_warp; ++r) total[r] = std::fma(weights[r * tile_keys + j], value, total[r]);
    }
    for (int r = 0; r < rows_of_warp; ++r) y[r * dim] = total[r];
  }
}

template <class T, class Out>
SIMT_DEVICE void write_rows(const AttentionBatch<T, Out>& p, const Tile<T>& tile, Out* y, int64_t first_row,
                            const Softmax<T>& softmax) {
  const int dim = static_cast<int>(p.head_dim);
  const int of_warp = static_cast<int>(threadIdx.x / warp_lanes) * rows_of_warp;
  for (int r = 0; r < rows_of_warp && first_row + of_warp + r < p.queries; ++r) {
    Out* to = y + (first_row + of_warp + r) * p.heads * p.head_dim;
    for (int d = static_cast<int>(threadIdx.x % warp_lanes); d < dim; d += warp_lanes) {
      to[d] = convert<T, Out>(tile.y[(of_warp + r) * dim + d] / softmax.sum[r]);
    }
  }
}

// A block for each tile of query rows of each head of each context. The tiles of keys lie where they lie in the
// context, whatever the rows, and a key that a row does not see adds 0: so a row's bits are the same in any company.
template <class T, class Out>
SIMT_KERNEL attend_kernel(AttentionBatch<T, Out> p) {
  SIMT_DYNAMIC_SHARED(T, memory);
  const Tile<T> tile(memory, static_cast<int>(p.head_dim));
  const int64_t tiles = (p.queries + tile_rows - 1) / tile_rows;
  for (int64_t item = blockIdx.x; item < p.contexts * p.heads * tiles; item += gridDim.x) {
    const Head<T, Out> head(p, item / tiles / p.heads, item / tiles % p.heads);
    const int64_t first_row = item % tiles * tile_rows;
    const int64_t last_row = (first_row + tile_rows < p.queries ? first_row + tile_rows : p.queries) - 1;
    load_queries(p, head.q, first_row, tile);
    Softmax<T> softmax = {};
    for (T& top : softmax.top) top = -std::numeric_limits<T>::infinity();
    const int64_t first_key = p.first_visible(first_row) / tile_keys * tile_keys;
    for (int64_t key = first_key; key < p.end_visible(last_row); key += tile_keys) {
      __syncthreads();  // the tile before this one has been read
      load_keys(p, head, key, tile);
      __syncthreads();
      weigh_keys(p, tile, first_row, key, softmax);
      __syncwarp();
      add_values(p, tile, softmax);
    }
    write_rows(p, tile, head.y, first_row, softmax);
    __syncthreads();
  }
}

SIMT_KERNEL copy_columns_kernel(const float* from, int64_t from_cols, int64_t first, float* to, int64_t rows,
                                int64_t cols) {
  for (int64_t i = thread_in_grid(); i < rows * cols; i += threads_in_grid()) {
    to[i] = from[i / cols * from_cols + first + i % cols];
  }
}

}  // namespace

template <class T, class Out>
void attend(const Stream& stream, const AttentionBatch<T, Out>& batch) {
  static_assert(attention_block_bytes(1, 1) == 2 * tile_rows + tile_rows * tile_keys + 3 * tile_keys);
  const int64_t tiles = (batch.queries + tile_rows - 1) / tile_rows;
  launch(stream, attend_kernel<T, Out>, blocks_for_rows(batch.contexts * batch.heads * tiles), warps * warp_lanes,
         static_cast<size_t>(attention_block_bytes(batch.head_dim, sizeof(T))), batch);
}

void copy_columns(const Stream& stream, const float* from, int64_t from_cols, int64_t first, float* to, int64_t rows,
                  int64_t cols) {
  launch(stream, copy_columns_kernel, blocks_for(rows * cols), threads_per_block, 0, from, from_cols, first, to, rows,
         cols);
}

template void attend<float, float>(const Stream&, const AttentionBatch<float, float>&);
template void attend<float, bfloat16>(const Stream&, const AttentionBatch<float, bfloat16>&);
template void attend<double, double>(const Stream&, const AttentionBatch<double, double>&);

}  // namespace sae::SIMT_NAMESPACE
