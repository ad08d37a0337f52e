#pragma once

// For *_cuda.cu only: how a block of threads chooses the k best of one row.

#include <cstdint>

#include "engine/order_key.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {

inline constexpr int buckets = 256;  // of one pass over eight bits of the keys; also the threads of a block

template <class T>
using Key = decltype(order_key(T{}));

/// One row, and where its k best go.
template <class T>
struct RowChoice {
  const T* row;  // [cols]
  int64_t cols, k;
  int32_t* columns;  // [k], out, ascending
  T* values;         // [k], out
};

/// The key of the k-th best, and how many of those that equal it belong to the k best.
template <class Bits>
struct Threshold {
  Bits key;
  int64_t equal;
};

/// Finds it eight bits at a time, from the highest: the bucket in which the k-th best lies fixes them. The whole block
/// calls it.
template <class T>
SIMT_DEVICE Threshold<Key<T>> find_threshold(const RowChoice<T>& p) {
  using Bits = Key<T>;
  SIMT_SHARED(int, histogram, buckets);
  SIMT_SHARED(Threshold<Bits>, found, 1);
  Bits prefix = 0;
  int64_t wanted = p.k;
  for (int shift = 8 * static_cast<int>(sizeof(Bits)) - 8; shift >= 0; shift -= 8) {
    histogram[threadIdx.x] = 0;
    __syncthreads();
    for (int64_t col = threadIdx.x; col < p.cols; col += buckets) {
      const Bits key = order_key(p.row[col]) >> shift;
      if (key >> 8 == prefix) atomicAdd(&histogram[key & 255], 1);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int bucket = buckets - 1;
      for (; histogram[bucket] < wanted; --bucket) wanted -= histogram[bucket];
      found[0] = {prefix << 8 | static_cast<Bits>(bucket), wanted};
    }
    __syncthreads();
    prefix = found[0].key;
    wanted = found[0].equal;
  }
  return {prefix, wanted};
}

/// Writes what lies above the threshold, and the first of what equals it, in the order of the columns.
template <class T>
SIMT_DEVICE void write_chosen(const RowChoice<T>& p, Threshold<Key<T>> threshold) {
  SIMT_SHARED(int, above_in_warp, buckets / warp_lanes);
  SIMT_SHARED(int, equal_in_warp, buckets / warp_lanes);
  const int lane = static_cast<int>(threadIdx.x % warp_lanes), warp = static_cast<int>(threadIdx.x / warp_lanes);
  const unsigned lanes_before = (1u << lane) - 1u;
  int64_t above_before = 0, equal_before = 0;  // in the columns before this round of the block
  for (int64_t first = 0; first < p.cols; first += buckets) {
    const int64_t column = first + threadIdx.x;
    const auto key = order_key(p.row[column < p.cols ? column : 0]);
    const bool above = column < p.cols && key > threshold.key, equal = column < p.cols && key == threshold.key;
    const unsigned above_lanes = __ballot_sync(all_lanes, above), equal_lanes = __ballot_sync(all_lanes, equal);
    if (lane == 0) {
      above_in_warp[warp] = __popc(above_lanes);
      equal_in_warp[warp] = __popc(equal_lanes);
    }
    __syncthreads();
    int64_t above_mine = above_before + __popc(above_lanes & lanes_before);
    int64_t equal_mine = equal_before + __popc(equal_lanes & lanes_before);
    for (int w = 0; w < buckets / warp_lanes; ++w) {
      if (w < warp) {
        above_mine += above_in_warp[w];
        equal_mine += equal_in_warp[w];
      }
      above_before += above_in_warp[w];
      equal_before += equal_in_warp[w];
    }
    if (above || (equal && equal_mine < threshold.equal)) {
      const int64_t slot = above_mine + (equal_mine < threshold.equal ? equal_mine : threshold.equal);
      p.columns[slot] = static_cast<int32_t>(column);
      p.values[slot] = p.row[column];
    }
    __syncthreads();
  }
}

/// The whole block of `buckets` threads calls it. Ties go to the lower column; numbers that are not finite get some
/// place in the order, so that nothing goes wrong with them here.
template <class T>
SIMT_DEVICE void choose_row(const RowChoice<T>& choice) {
  write_chosen(choice, find_threshold(choice));
}

}  // namespace sae::SIMT_NAMESPACE
