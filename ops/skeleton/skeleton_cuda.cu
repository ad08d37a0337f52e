#include "ops/skeleton/skeleton_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A kernel says what one thread does. Its loop takes every element whose turn is this thread's, whatever the grid.

template <class T>
SIMT_KERNEL skeleton_kernel(const T* x, T slope, T* y, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

template <class T>
SIMT_KERNEL skeleton_backward_kernel(const T* x, const T* g, T slope, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = g[i] * (x[i] > 0 ? T{1} : slope);
}

}  // namespace

template <class T>
void skeleton(const Stream& stream, const T* x, T slope, T* y, int64_t count) {
  launch(stream, skeleton_kernel<T>, blocks_for(count), threads_per_block, 0, x, slope, y, count);
}

template <class T>
void skeleton_backward(const Stream& stream, const T* x, const T* g, T slope, T* out, int64_t count) {
  launch(stream, skeleton_backward_kernel<T>, blocks_for(count), threads_per_block, 0, x, g, slope, out, count);
}

template void skeleton<float>(const Stream&, const float*, float, float*, int64_t);
template void skeleton<double>(const Stream&, const double*, double, double*, int64_t);
template void skeleton_backward<float>(const Stream&, const float*, const float*, float, float*, int64_t);
template void skeleton_backward<double>(const Stream&, const double*, const double*, double, double*, int64_t);

}  // namespace sae::SIMT_NAMESPACE
