#include "engine/dense_product_cuda.h"

#include "engine/convert.h"
#include "engine/simt.h"

#if defined(__CUDACC__)
#include <type_traits>

#include "engine/cuda/libraries.h"
#else
#include <algorithm>
#include <vector>
#endif

namespace sae::SIMT_NAMESPACE {

#if defined(__CUDACC__)

template <class T>
constexpr cudaDataType_t cuda_type() {
  if constexpr (std::is_same_v<T, float>) return CUDA_R_32F;
  if constexpr (std::is_same_v<T, double>) return CUDA_R_64F;
  if constexpr (std::is_same_v<T, bfloat16>) return CUDA_R_16BF;
}

template <class Factor, class T>
void dense_product(Device& device, const Factor* a, const Factor* b, T* y, const DenseProduct& sizes, bool accumulate) {
  if (sizes.rows == 0 || sizes.cols == 0) return;
  if (sizes.inner == 0) {
    if (!accumulate) device.clear(y, static_cast<size_t>(sizes.rows * sizes.cols) * sizeof(T));
    return;
  }
  // cuBLAS counts by columns, where our rows are columns: y^T = op(b)^T op(a)^T, and the factors change places.
  const auto operation = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };
  const Blas::Product product = {cuda_type<Factor>(),
                                 cuda_type<T>(),
                                 std::is_same_v<T, double> ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                                 operation(sizes.transpose_b),
                                 operation(sizes.transpose_a),
                                 sizes.cols,
                                 sizes.rows,
                                 sizes.inner};
  Libraries::of(device.stream()).blas().multiply(device, product, b, a, y, accumulate);
}

#else

template <class Factor, class T>
void dense_product(Device&, const Factor* a, const Factor* b, T* y, const DenseProduct& sizes, bool accumulate) {
  const auto [rows, inner, cols, transpose_a, transpose_b] = sizes;
  std::vector<T> right(static_cast<size_t>(inner * cols));  // [inner, cols]: the innermost loop runs along memory
  for (int64_t i = 0; i < inner; ++i) {
    for (int64_t col = 0; col < cols; ++col) {
      right[static_cast<size_t>(i * cols + col)] =
          convert<Factor, T>(transpose_b ? b[col * inner + i] : b[i * cols + col]);
    }
  }
  std::vector<T> sums(static_cast<size_t>(cols));
  for (int64_t row = 0; row < rows; ++row) {
    std::fill(sums.begin(), sums.end(), T{0});
    T* const out = sums.data();
    for (int64_t i = 0; i < inner; ++i) {
      const T scale = convert<Factor, T>(transpose_a ? a[i * rows + row] : a[row * inner + i]);
      const T* factors = right.data() + i * cols;
      for (int64_t col = 0; col < cols; ++col) out[col] += scale * factors[col];
    }
    T* to = y + row * cols;  // added to last, as the library does
    for (int64_t col = 0; col < cols; ++col) to[col] = accumulate ? to[col] + out[col] : out[col];
  }
}

#endif

template void dense_product<float, float>(Device&, const float*, const float*, float*, const DenseProduct&, bool);
template void dense_product<double, double>(Device&, const double*, const double*, double*, const DenseProduct&, bool);
template void dense_product<bfloat16, float>(Device&, const bfloat16*, const bfloat16*, float*, const DenseProduct&,
                                             bool);

}  // namespace sae::SIMT_NAMESPACE
