#include "ops/topk/topk_cuda.h"

#include <limits>
#include <type_traits>

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

constexpr int buckets = 256;  // of one pass over eight bits of the keys; also the threads of a block

/// The bits of a number in an order that is the numbers' own. Both zeros get one key, as they compare equal.
template <class T>
struct Key {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  static SIMT_DEVICE Bits of(T value) {
    value = value + T{0};
    Bits bits = 0;
    memcpy(&bits, &value, sizeof bits);
    constexpr Bits sign = Bits{1} << (8 * sizeof(Bits) - 1);
    return (bits & sign) != 0 ? ~bits : bits | sign;
  }
};

template <class T>
struct TopkArguments {
  const T* x;  // [rows, cols]
  int64_t rows, cols;
  const int32_t* allowed;  // [choices] or null
  int64_t choices, k;
  int32_t* columns;  // [rows, k]
  T* values;         // [rows, k]
  int* first_bad;    // [1]

  SIMT_DEVICE int64_t column(int64_t choice) const { return allowed != nullptr ? allowed[choice] : choice; }
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
SIMT_DEVICE Threshold<typename Key<T>::Bits> find_threshold(const TopkArguments<T>& p, const T* row) {
  using Bits = typename Key<T>::Bits;
  SIMT_SHARED(int, histogram, buckets);
  SIMT_SHARED(Threshold<Bits>, found, 1);
  Bits prefix = 0;
  int64_t wanted = p.k;
  for (int shift = 8 * static_cast<int>(sizeof(Bits)) - 8; shift >= 0; shift -= 8) {
    histogram[threadIdx.x] = 0;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < p.choices; i += buckets) {
      const Bits key = Key<T>::of(row[p.column(i)]) >> shift;
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
SIMT_DEVICE void write_chosen(const TopkArguments<T>& p, int64_t row_index,
                              Threshold<typename Key<T>::Bits> threshold) {
  SIMT_SHARED(int, above_in_warp, buckets / warp_lanes);
  SIMT_SHARED(int, equal_in_warp, buckets / warp_lanes);
  const T* row = p.x + row_index * p.cols;
  const int lane = static_cast<int>(threadIdx.x % warp_lanes), warp = static_cast<int>(threadIdx.x / warp_lanes);
  const unsigned lanes_before = (1u << lane) - 1u;
  int64_t above_before = 0, equal_before = 0;  // in the columns before this round of the block
  for (int64_t first = 0; first < p.choices; first += buckets) {
    const int64_t choice = first + threadIdx.x;
    const int64_t column = choice < p.choices ? p.column(choice) : 0;
    const auto key = Key<T>::of(row[column]);
    const bool above = choice < p.choices && key > threshold.key, equal = choice < p.choices && key == threshold.key;
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
      p.columns[row_index * p.k + slot] = static_cast<int32_t>(column);
      p.values[row_index * p.k + slot] = row[column];
    }
    __syncthreads();
  }
}

// A block for each row.
template <class T>
SIMT_KERNEL choose_best_kernel(TopkArguments<T> p) {
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const T* from = p.x + row * p.cols;
    bool finite = true;
    for (int64_t i = threadIdx.x; i < p.choices; i += buckets) finite = finite && std::isfinite(from[p.column(i)]);
    if (!finite) atomicMin(p.first_bad, static_cast<int>(row));
    write_chosen(p, row, find_threshold(p, from));
  }
}

}  // namespace

template <class T>
int64_t choose_best(Device& device, const T* x, int64_t rows, int64_t cols, const int32_t* allowed, int64_t choices,
                    int64_t k, int32_t* columns, T* values) {
  constexpr int none = std::numeric_limits<int>::max();
  const auto first_bad = device.allocate(sizeof(int));
  device.copy_from_host(first_bad->data(), &none, sizeof none);
  const TopkArguments<T> arguments = {
      x, rows, cols, allowed, choices, k, columns, values, static_cast<int*>(first_bad->data())};
  launch(device.stream(), choose_best_kernel<T>, blocks_for_rows(rows), buckets, 0, arguments);
  int row = none;
  device.copy_to_host(&row, first_bad->data(), sizeof row);
  return row == none ? -1 : row;
}

template int64_t choose_best<float>(Device&, const float*, int64_t, int64_t, const int32_t*, int64_t, int64_t, int32_t*,
                                    float*);
template int64_t choose_best<double>(Device&, const double*, int64_t, int64_t, const int32_t*, int64_t, int64_t,
                                     int32_t*, double*);

}  // namespace sae::SIMT_NAMESPACE
