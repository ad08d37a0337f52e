#include "ops/unit_norm/unit_norm_cuda.h"

#include <limits>

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

/// a . b in every lane. The whole warp calls it.
template <class T>
SIMT_DEVICE T warp_dot(const T* a, const T* b, int64_t width) {
  T sum = 0;
  for (int64_t i = threadIdx.x % warp_lanes; i < width; i += warp_lanes) sum += a[i] * b[i];
  return warp_sum(sum);
}

template <class T>
SIMT_KERNEL find_row_without_length_kernel(const T* matrix, int64_t rows, int64_t width, int* first_bad) {
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    const T squares = warp_dot(matrix + row * width, matrix + row * width, width);
    if (threadIdx.x % warp_lanes == 0 && !std::isfinite(squares)) atomicMin(first_bad, static_cast<int>(row));
  }
}

template <class T>
SIMT_KERNEL normalise_rows_kernel(T* matrix, int64_t rows, int64_t width) {
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    T* values = matrix + row * width;
    const T length = std::sqrt(warp_dot(values, values, width));
    if (length == 0) continue;
    const T scale = T{1} / length;
    for (int64_t i = threadIdx.x % warp_lanes; i < width; i += warp_lanes) values[i] *= scale;
  }
}

template <class T>
SIMT_KERNEL remove_parallel_kernel(const T* gradient, const T* matrix, int64_t rows, int64_t width, T* out) {
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    const T *g = gradient + row * width, *w = matrix + row * width;
    const T parallel = warp_dot(g, w, width);
    for (int64_t i = threadIdx.x % warp_lanes; i < width; i += warp_lanes)
      out[row * width + i] = g[i] - parallel * w[i];
  }
}

}  // namespace

template <class T>
int64_t first_row_without_length(Device& device, const T* matrix, int64_t rows, int64_t width) {
  constexpr int none = std::numeric_limits<int>::max();
  const auto first_bad = device.allocate(sizeof(int));
  device.copy_from_host(first_bad->data(), &none, sizeof none);
  launch(device.stream(), find_row_without_length_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, matrix, rows,
         width, static_cast<int*>(first_bad->data()));
  int row = none;
  device.copy_to_host(&row, first_bad->data(), sizeof row);
  return row == none ? -1 : row;
}

template <class T>
void normalise_rows(const Stream& stream, T* matrix, int64_t rows, int64_t width) {
  launch(stream, normalise_rows_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, matrix, rows, width);
}

template <class T>
void remove_parallel_rows(const Stream& stream, const T* gradient, const T* matrix, int64_t rows, int64_t width,
                          T* out) {
  launch(stream, remove_parallel_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, gradient, matrix, rows, width,
         out);
}

#define SIMT_UNIT_NORM(T)                                                            \
  template int64_t first_row_without_length<T>(Device&, const T*, int64_t, int64_t); \
  template void normalise_rows<T>(const Stream&, T*, int64_t, int64_t);              \
  template void remove_parallel_rows<T>(const Stream&, const T*, const T*, int64_t, int64_t, T*);
SIMT_UNIT_NORM(float)
SIMT_UNIT_NORM(double)
#undef SIMT_UNIT_NORM

}  // namespace sae::SIMT_NAMESPACE
