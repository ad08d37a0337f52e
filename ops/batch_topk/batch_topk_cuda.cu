#include "ops/batch_topk/batch_topk_cuda.h"

#include <cmath>
#include <limits>

#include "engine/compress_rows_kernels.h"
#include "engine/order_key.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

constexpr int buckets = 256;  // of one pass over eight bits of the keys; also the threads of a block
constexpr int64_t max_blocks = 1024;
constexpr int no_row = std::numeric_limits<int>::max();

/// What the kernels know of the choice so far, in memory of the device.
struct Choice {
  uint64_t key;      // the leading bits of the last one's key; after the last pass, all of them
  int64_t wanted;    // of those with these bits, how many are chosen
  int64_t last_tie;  // the position of the last one
  int first_bad;     // row, or no_row
};

SIMT_KERNEL begin_kernel(int64_t wanted, Choice* choice) { *choice = {0, wanted, -1, no_row}; }

template <class T>
SIMT_KERNEL find_bad_rows_kernel(const T* x, int64_t rows, int64_t cols, Choice* choice) {
  for (int64_t i = thread_in_grid(); i < rows * cols; i += threads_in_grid()) {
    if (!std::isfinite(x[i])) atomicMin(&choice->first_bad, static_cast<int>(i / cols));
  }
}

// Counts the next eight bits of the keys that begin with the bits found so far, in whole numbers: any order of the
// blocks gives the same.
template <class T>
SIMT_KERNEL histogram_kernel(const T* x, int64_t count, int shift, const Choice* choice, int* histogram) {
  SIMT_SHARED(int, of_block, buckets);
  of_block[threadIdx.x] = 0;
  __syncthreads();
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const uint64_t key = uint64_t{order_key(x[i])} >> shift;
    if (key >> 8 == choice->key) atomicAdd(&of_block[key & 255], 1);
  }
  __syncthreads();
  if (of_block[threadIdx.x] != 0) atomicAdd(&histogram[threadIdx.x], of_block[threadIdx.x]);
}

/// One thread: the bucket of the last one chosen fixes the next eight bits. Empties the histogram for the next pass.
SIMT_KERNEL choose_bucket_kernel(Choice* choice, int* histogram) {
  int bucket = buckets - 1;
  int64_t wanted = choice->wanted;
  for (; histogram[bucket] < wanted; --bucket) wanted -= histogram[bucket];
  choice->key = choice->key << 8 | static_cast<uint64_t>(bucket);
  choice->wanted = wanted;
  for (int i = 0; i < buckets; ++i) histogram[i] = 0;
}

template <class T>
struct Ties {
  const Choice* choice;
  SIMT_DEVICE bool operator()(int64_t, int64_t, T value) const { return order_key(value) == choice->key; }
};

template <class T>
struct Chosen {
  const Choice* choice;
  int64_t cols;
  SIMT_DEVICE bool operator()(int64_t row, int64_t col, T value) const {
    const uint64_t key = order_key(value);
    return key > choice->key || (key == choice->key && row * cols + col <= choice->last_tie);
  }
};

// A warp for each row; ends[row] counts the ties of the rows up to that one. Only one row holds the last one chosen.
template <class T>
SIMT_KERNEL find_last_tie_kernel(const T* x, int64_t rows, int64_t cols, const int64_t* ends, Choice* choice) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  const Ties<T> ties = {choice};
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    int64_t before = row == 0 ? 0 : ends[row - 1];
    if (before >= choice->wanted || ends[row] < choice->wanted) continue;
    for (int64_t first = 0; first < cols; first += warp_lanes) {
      const unsigned lanes = kept_lanes(ties, x, row, first, cols, lane);
      const int64_t mine = before + __popc(lanes & ((1u << lane) - 1u)) + 1;
      if ((lanes >> lane & 1u) != 0 && mine == choice->wanted) choice->last_tie = row * cols + first + lane;
      before += __popc(lanes);
    }
  }
}

}  // namespace

template <class T>
CompressedRows largest_of_batch(const Tensor& x, int64_t wanted, int64_t& bad_row) {
  Device& device = x.device();
  const Stream& stream = device.stream();
  const int64_t rows = x.rows(), cols = x.cols(), count = rows * cols;
  const T* values = x.data<T>();
  const auto scratch = device.allocate(sizeof(Choice) + buckets * sizeof(int));
  auto* choice = static_cast<Choice*>(scratch->data());
  auto* histogram = reinterpret_cast<int*>(choice + 1);
  const int64_t enough = blocks_for(count);
  const auto blocks = static_cast<unsigned>(enough < max_blocks ? enough : max_blocks);
  device.clear(histogram, buckets * sizeof(int));
  launch(stream, begin_kernel, 1, 1, 0, wanted, choice);
  launch(stream, find_bad_rows_kernel<T>, blocks, buckets, 0, values, rows, cols, choice);
  for (int shift = 8 * static_cast<int>(sizeof(T)) - 8; shift >= 0; shift -= 8) {
    launch(stream, histogram_kernel<T>, blocks, buckets, 0, values, count, shift, choice, histogram);
    launch(stream, choose_bucket_kernel, 1, 1, 0, choice, histogram);
  }
  const auto ties = device.allocate(static_cast<size_t>(rows) * sizeof(int64_t));
  auto* ends = static_cast<int64_t*>(ties->data());
  count_kept(device, values, rows, cols, Ties<T>{choice}, ends);
  launch(stream, find_last_tie_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, values, rows, cols, ends,
         choice);
  CompressedRows chosen = compress_rows<T>(x, Chosen<T>{choice, cols}, wanted);
  int row = no_row;
  device.copy_to_host(&row, &choice->first_bad, sizeof row);
  bad_row = row == no_row ? -1 : row;
  return chosen;
}

template CompressedRows largest_of_batch<float>(const Tensor&, int64_t, int64_t&);
template CompressedRows largest_of_batch<double>(const Tensor&, int64_t, int64_t&);

}  // namespace sae::SIMT_NAMESPACE
