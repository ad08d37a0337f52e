#pragma once

// What compress_rows.h does, for a NAME_cuda.cu: the elements of a dense matrix that satisfy a condition. `keep` is a
// struct with SIMT_DEVICE bool operator()(int64_t row, int64_t col, T value) const, asked twice for each element.

#include "engine/layout.h"
#include "engine/scan_cuda.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {

/// Lane i's bit says whether the element of column first + i is kept. All lanes of the warp call it.
template <class T, class Keep>
SIMT_DEVICE unsigned kept_lanes(const Keep& keep, const T* x, int64_t row, int64_t first, int64_t cols, int lane) {
  const int64_t col = first + lane;
  return __ballot_sync(all_lanes, col < cols && keep(row, col, x[row * cols + col]));
}

// A warp for each row, 32 columns at a time.
template <class T, class Keep>
SIMT_KERNEL count_kept_kernel(const T* x, int64_t rows, int64_t cols, Keep keep, int64_t* counts) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    int64_t count = 0;
    for (int64_t first = 0; first < cols; first += warp_lanes) {
      count += __popc(kept_lanes(keep, x, row, first, cols, lane));
    }
    if (lane == 0) counts[row] = count;
  }
}

template <class T, class Keep>
SIMT_KERNEL gather_kept_kernel(const T* x, int64_t rows, int64_t cols, Keep keep, const int64_t* offsets,
                               int32_t* index, T* values) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    int64_t next = offsets[row];
    for (int64_t first = 0; first < cols; first += warp_lanes) {
      const unsigned kept = kept_lanes(keep, x, row, first, cols, lane);
      if ((kept >> lane & 1u) != 0) {
        const int64_t slot = next + __popc(kept & ((1u << lane) - 1u));
        index[slot] = static_cast<int32_t>(first + lane);
        values[slot] = x[row * cols + first + lane];
      }
      next += __popc(kept);
    }
  }
}

/// ends[row] = how many elements of the rows up to that one are kept.
template <class T, class Keep>
void count_kept(Device& device, const T* x, int64_t rows, int64_t cols, const Keep& keep, int64_t* ends) {
  launch(device.stream(), count_kept_kernel<T, Keep>, blocks_for_warps(rows), threads_per_block, 0, x, rows, cols, keep,
         ends);
  inclusive_sum(device, ends, rows);
}

/// The elements of x [rows, cols] that are kept. `stored`: how many they are; -1 where nobody knows, and then the
/// number comes back to the host before there is memory for them.
template <class T, class Keep>
CompressedRows compress_rows(const Tensor& x, const Keep& keep, int64_t stored = -1) {
  Device& device = x.device();
  const T* from = x.data<T>();
  Writable offsets = Tensor::empty(device, {x.rows() + 1}, Dtype::i64);
  int64_t* starts = offsets.data<int64_t>();
  device.clear(starts, sizeof *starts);
  count_kept(device, from, x.rows(), x.cols(), keep, starts + 1);
  if (stored < 0) device.copy_to_host(&stored, starts + x.rows(), sizeof stored);
  Writable index = Tensor::empty(device, {stored}, Dtype::i32);
  Writable values = Tensor::empty(device, {stored}, x.dtype());
  launch(device.stream(), gather_kept_kernel<T, Keep>, blocks_for_warps(x.rows()), threads_per_block, 0, from, x.rows(),
         x.cols(), keep, starts, index.data<int32_t>(), values.data<T>());
  return {std::move(offsets).freeze(), std::move(index).freeze(), std::move(values).freeze(), x.cols()};
}

}  // namespace sae::SIMT_NAMESPACE
