#include "engine/csr_product_cuda.h"

#include "engine/simt.h"

#if defined(__CUDACC__)
#include <type_traits>

#include "engine/cuda/libraries.h"
#endif

namespace sae::SIMT_NAMESPACE {

#if defined(__CUDACC__)

namespace {

SIMT_KERNEL narrow_offsets_kernel(const int64_t* offsets, int64_t count, int32_t* narrow) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) narrow[i] = static_cast<int32_t>(offsets[i]);
}

}  // namespace

template <class T>
void csr_product(Device& device, SparseRows sparse, int64_t stored, const T* values, const T* dense, int64_t dense_rows,
                 int64_t width, T* y) {
  if (sparse.rows == 0 || width == 0) return;
  if (stored == 0) return device.clear(y, static_cast<size_t>(sparse.rows * width) * sizeof(T));
  const auto offsets = device.allocate(static_cast<size_t>(sparse.rows + 1) * sizeof(int32_t));
  auto* narrow = static_cast<int32_t*>(offsets->data());
  launch(device.stream(), narrow_offsets_kernel, blocks_for(sparse.rows + 1), threads_per_block, 0, sparse.offsets,
         sparse.rows + 1, narrow);
  Sparse::Product product;
  product.rows = sparse.rows;
  product.cols = dense_rows;
  product.width = width;
  product.stored = stored;
  product.type = std::is_same_v<T, double> ? CUDA_R_64F : CUDA_R_32F;
  product.offsets = narrow;
  product.index = sparse.index;
  product.values = values;
  product.dense = dense;
  product.y = y;
  Libraries::of(device.stream()).sparse().multiply(device, product);
}

#else

template <class T>
void csr_product(Device&, SparseRows sparse, int64_t, const T* values, const T* dense, int64_t, int64_t width, T* y) {
  for (int64_t row = 0; row < sparse.rows; ++row) {
    T* out = y + row * width;
    for (int64_t i = 0; i < width; ++i) out[i] = 0;
    for (int64_t e = sparse.begin(row); e < sparse.end(row); ++e) {
      const T* factors = dense + sparse.index[e] * width;
      for (int64_t i = 0; i < width; ++i) out[i] += values[e] * factors[i];
    }
  }
}

#endif

template void csr_product<float>(Device&, SparseRows, int64_t, const float*, const float*, int64_t, int64_t, float*);
template void csr_product<double>(Device&, SparseRows, int64_t, const double*, const double*, int64_t, int64_t,
                                  double*);

}  // namespace sae::SIMT_NAMESPACE
