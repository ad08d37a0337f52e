#include "ops/matmul/matmul_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A block for each row of y: neighbouring threads read neighbouring elements of the same row of dense.
template <class T>
SIMT_KERNEL sparse_product_kernel(SparseRows sparse, const T* values, const T* dense, int64_t width, T* y) {
  for (int64_t row = blockIdx.x; row < sparse.rows; row += gridDim.x) {
    const int64_t begin = sparse.begin(row), end = sparse.end(row);
    for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
      T sum = 0;
      for (int64_t e = begin; e < end; ++e) sum += values[e] * dense[sparse.index[e] * width + i];
      y[row * width + i] = sum;
    }
  }
}

template <class T>
SIMT_KERNEL sampled_product_kernel(SparseRows pattern, const T* g, const T* w, int64_t width, T* out) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < pattern.rows; row += warps_in_grid()) {
    for (int64_t e = pattern.begin(row); e < pattern.end(row); ++e) {
      const T* other = w + pattern.index[e] * width;
      T sum = 0;
      for (int64_t i = lane; i < width; i += warp_lanes) sum += g[row * width + i] * other[i];
      sum = warp_sum(sum);
      if (lane == 0) out[e] = sum;
    }
  }
}

}  // namespace

template <class T>
void sparse_product(const Stream& stream, SparseRows sparse, const T* values, const T* dense, int64_t width, T* y) {
  launch(stream, sparse_product_kernel<T>, blocks_for_rows(sparse.rows), threads_per_block, 0, sparse, values, dense,
         width, y);
}

template <class T>
void sampled_product(const Stream& stream, SparseRows pattern, const T* g, const T* w, int64_t width, T* out) {
  launch(stream, sampled_product_kernel<T>, blocks_for_warps(pattern.rows), threads_per_block, 0, pattern, g, w, width,
         out);
}

template void sparse_product<float>(const Stream&, SparseRows, const float*, const float*, int64_t, float*);
template void sparse_product<double>(const Stream&, SparseRows, const double*, const double*, int64_t, double*);
template void sampled_product<float>(const Stream&, SparseRows, const float*, const float*, int64_t, float*);
template void sampled_product<double>(const Stream&, SparseRows, const double*, const double*, int64_t, double*);

}  // namespace sae::SIMT_NAMESPACE
