#include "ops/clip_norm/clip_norm_cuda.h"

#include "engine/host_sum.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

constexpr int64_t max_blocks = 1024;  // so many partial sums go to the host

// Each block leaves the sum of its threads' squares.
template <class T>
SIMT_KERNEL squares_kernel(const T* x, int64_t count, double* sums) {
  double sum = 0;
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const double value = static_cast<double>(x[i]);
    sum += value * value;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <class T>
SIMT_KERNEL scale_kernel(const T* x, T factor, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = factor * x[i];
}

}  // namespace

template <class T>
double sum_of_squares(Device& device, const T* x, int64_t count) {
  const int64_t wanted = blocks_for(count), blocks = wanted < max_blocks ? wanted : max_blocks;
  const auto sums = device.allocate(static_cast<size_t>(blocks) * sizeof(double));
  launch(device.stream(), squares_kernel<T>, static_cast<unsigned>(blocks), threads_per_block, 0, x, count,
         static_cast<double*>(sums->data()));
  return sum_of(device, sums->data(), blocks);
}

template <class T>
void scale_elements(const Stream& stream, const T* x, T factor, T* out, int64_t count) {
  launch(stream, scale_kernel<T>, blocks_for(count), threads_per_block, 0, x, factor, out, count);
}

template double sum_of_squares<float>(Device&, const float*, int64_t);
template double sum_of_squares<double>(Device&, const double*, int64_t);
template void scale_elements<float>(const Stream&, const float*, float, float*, int64_t);
template void scale_elements<double>(const Stream&, const double*, double, double*, int64_t);

}  // namespace sae::SIMT_NAMESPACE
