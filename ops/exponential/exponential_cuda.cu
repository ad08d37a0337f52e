#include "ops/exponential/exponential_cuda.h"

#include <cmath>

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL exponential_kernel(const T* x, T* y, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) y[i] = std::exp(x[i]);
}

template <class T>
SIMT_KERNEL exponential_backward_kernel(const T* y, const T* g, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = g[i] * y[i];
}

}  // namespace

template <class T>
void exponential(const Stream& stream, const T* x, T* y, int64_t count) {
  launch(stream, exponential_kernel<T>, blocks_for(count), threads_per_block, 0, x, y, count);
}

template <class T>
void exponential_backward(const Stream& stream, const T* y, const T* g, T* out, int64_t count) {
  launch(stream, exponential_backward_kernel<T>, blocks_for(count), threads_per_block, 0, y, g, out, count);
}

template void exponential<float>(const Stream&, const float*, float*, int64_t);
template void exponential<double>(const Stream&, const double*, double*, int64_t);
template void exponential_backward<float>(const Stream&, const float*, const float*, float*, int64_t);
template void exponential_backward<double>(const Stream&, const double*, const double*, double*, int64_t);

}  // namespace sae::SIMT_NAMESPACE
