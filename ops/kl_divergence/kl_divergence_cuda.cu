#include "ops/kl_divergence/kl_divergence_cuda.h"

#include <cmath>

#include "engine/largest_kernels.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

/// The largest of a row, in every thread of the block.
template <class T>
SIMT_DEVICE T largest_score(const T* scores, int64_t classes) {
  T top = scores[0];
  for (int64_t j = threadIdx.x; j < classes; j += blockDim.x) top = scores[j] > top ? scores[j] : top;
  top = block_max(top);
  __syncthreads();
  return top;
}

// A block for each row: a vocabulary is long.
template <class T>
SIMT_KERNEL kl_divergence_kernel(const T* p, const T* q, T* out, int64_t rows, int64_t classes) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const T* from = p + row * classes;
    const T* to = q + row * classes;
    const T p_top = largest_score(from, classes), q_top = largest_score(to, classes);
    T p_sum = 0, q_sum = 0, difference = 0;
    for (int64_t j = threadIdx.x; j < classes; j += blockDim.x) {
      const T weight = std::exp(from[j] - p_top);
      p_sum += weight;
      q_sum += std::exp(to[j] - q_top);
      difference += weight * ((from[j] - p_top) - (to[j] - q_top));
    }
    p_sum = block_sum(p_sum);
    __syncthreads();
    q_sum = block_sum(q_sum);
    __syncthreads();
    difference = block_sum(difference);
    if (threadIdx.x == 0) out[row] = difference / p_sum + (std::log(q_sum) - std::log(p_sum));
  }
}

}  // namespace

template <class T>
void kl_divergence(const Stream& stream, const T* p, const T* q, T* out, int64_t rows, int64_t classes) {
  launch(stream, kl_divergence_kernel<T>, blocks_for_rows(rows), threads_per_block, 0, p, q, out, rows, classes);
}

template void kl_divergence<float>(const Stream&, const float*, const float*, float*, int64_t, int64_t);
template void kl_divergence<double>(const Stream&, const double*, const double*, double*, int64_t, int64_t);

}  // namespace sae::SIMT_NAMESPACE
