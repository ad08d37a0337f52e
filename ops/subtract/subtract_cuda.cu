#include "ops/subtract/subtract_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL subtract_kernel(const T* a, const T* b, T* y, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) y[i] = a[i] - b[i];
}

}  // namespace

template <class T>
void subtract(const Stream& stream, const T* a, const T* b, T* y, int64_t count) {
  launch(stream, subtract_kernel<T>, blocks_for(count), threads_per_block, 0, a, b, y, count);
}

template void subtract<float>(const Stream&, const float*, const float*, float*, int64_t);
template void subtract<double>(const Stream&, const double*, const double*, double*, int64_t);

}  // namespace sae::SIMT_NAMESPACE
