#include "ops/add/add_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL add_kernel(T* y, const T* b, int64_t count, int64_t repeat) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) y[i] += b[i % repeat];
}

}  // namespace

template <class T>
void add(const Stream& stream, T* y, const T* b, int64_t rows, int64_t cols, int64_t period) {
  launch(stream, add_kernel<T>, blocks_for(rows * cols), threads_per_block, 0, y, b, rows * cols, period * cols);
}

template void add<float>(const Stream&, float*, const float*, int64_t, int64_t, int64_t);
template void add<double>(const Stream&, double*, const double*, int64_t, int64_t, int64_t);

}  // namespace sae::SIMT_NAMESPACE
