#include "ops/kl_sparsity/kl_sparsity_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL kl_sparsity_backward_kernel(const double* slopes, const T* g, T* out, int64_t count, int64_t cols) {
  const double factor = static_cast<double>(g[0]);
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    out[i] = static_cast<T>(factor * slopes[i % cols]);
  }
}

}  // namespace

template <class T>
void kl_sparsity_backward(const Stream& stream, const double* slopes, const T* g, T* out, int64_t rows, int64_t cols) {
  launch(stream, kl_sparsity_backward_kernel<T>, blocks_for(rows * cols), threads_per_block, 0, slopes, g, out,
         rows * cols, cols);
}

template void kl_sparsity_backward<float>(const Stream&, const double*, const float*, float*, int64_t, int64_t);
template void kl_sparsity_backward<double>(const Stream&, const double*, const double*, double*, int64_t, int64_t);

}  // namespace sae::SIMT_NAMESPACE
