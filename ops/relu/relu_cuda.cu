#include "ops/relu/relu_cuda.h"

#include "engine/scan_cuda.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL relu_kernel(const T* x, T* y, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) y[i] = x[i] <= 0 ? T{0} : x[i];
}

template <class T>
SIMT_KERNEL relu_backward_kernel(const T* y, const T* g, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = y[i] > 0 ? g[i] : T{0};
}

/// Lane i's bit says whether x[i] of a row of cols, from `first` on, is kept. All lanes of the warp call it.
template <class T>
SIMT_DEVICE unsigned kept_lanes(const T* row, int64_t first, int64_t cols, int lane) {
  return __ballot_sync(all_lanes, first + lane < cols && !(row[first + lane] <= 0));
}

// A warp for each row, 32 columns at a time.
template <class T>
SIMT_KERNEL count_positive_kernel(const T* x, int64_t rows, int64_t cols, int64_t* counts) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    int64_t count = 0;
    for (int64_t first = 0; first < cols; first += warp_lanes) {
      count += __popc(kept_lanes(x + row * cols, first, cols, lane));
    }
    if (lane == 0) counts[row] = count;
  }
}

template <class T>
SIMT_KERNEL gather_positive_kernel(const T* x, int64_t rows, int64_t cols, const int64_t* offsets, int32_t* index,
                                   T* values) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    int64_t next = offsets[row];
    for (int64_t first = 0; first < cols; first += warp_lanes) {
      const unsigned kept = kept_lanes(x + row * cols, first, cols, lane);
      if ((kept >> lane & 1u) != 0) {
        const int64_t slot = next + __popc(kept & ((1u << lane) - 1u));
        index[slot] = static_cast<int32_t>(first + lane);
        values[slot] = x[row * cols + first + lane];
      }
      next += __popc(kept);
    }
  }
}

}  // namespace

template <class T>
void relu(const Stream& stream, const T* x, T* y, int64_t count) {
  launch(stream, relu_kernel<T>, blocks_for(count), threads_per_block, 0, x, y, count);
}

template <class T>
void relu_backward(const Stream& stream, const T* y, const T* g, T* out, int64_t count) {
  launch(stream, relu_backward_kernel<T>, blocks_for(count), threads_per_block, 0, y, g, out, count);
}

template <class T>
void count_positive(Device& device, const T* x, int64_t rows, int64_t cols, int64_t* offsets) {
  device.clear(offsets, sizeof(int64_t));
  launch(device.stream(), count_positive_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, x, rows, cols,
         offsets + 1);
  inclusive_sum(device, offsets + 1, rows);
}

template <class T>
void gather_positive(const Stream& stream, const T* x, int64_t rows, int64_t cols, const int64_t* offsets,
                     int32_t* index, T* values) {
  launch(stream, gather_positive_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, x, rows, cols, offsets, index,
         values);
}

template void relu<float>(const Stream&, const float*, float*, int64_t);
template void relu<double>(const Stream&, const double*, double*, int64_t);
template void relu_backward<float>(const Stream&, const float*, const float*, float*, int64_t);
template void relu_backward<double>(const Stream&, const double*, const double*, double*, int64_t);
template void count_positive<float>(Device&, const float*, int64_t, int64_t, int64_t*);
template void count_positive<double>(Device&, const double*, int64_t, int64_t, int64_t*);
template void gather_positive<float>(const Stream&, const float*, int64_t, int64_t, const int64_t*, int32_t*, float*);
template void gather_positive<double>(const Stream&, const double*, int64_t, int64_t, const int64_t*, int32_t*,
                                      double*);

}  // namespace sae::SIMT_NAMESPACE
