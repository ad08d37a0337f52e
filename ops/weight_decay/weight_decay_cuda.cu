#include "ops/weight_decay/weight_decay_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

constexpr int64_t max_blocks = 1024;  // so many partial sums

template <class T>
SIMT_KERNEL square_sums_kernel(const T* w, int64_t count, double* sums) {
  double sum = 0;
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const auto value = static_cast<double>(w[i]);
    sum += value * value;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// One block.
template <class T>
SIMT_KERNEL half_sum_kernel(const double* sums, int64_t count, T* loss) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) sum += sums[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) loss[0] = static_cast<T>(sum / 2);
}

template <class T>
SIMT_KERNEL weight_decay_backward_kernel(const T* w, const T* g, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = g[0] * w[i];
}

}  // namespace

template <class T>
void weight_decay(Device& device, const T* w, int64_t count, T* loss) {
  const int64_t wanted = blocks_for(count), blocks = wanted < max_blocks ? wanted : max_blocks;
  const auto sums = device.allocate(static_cast<size_t>(blocks) * sizeof(double));
  auto* partial = static_cast<double*>(sums->data());
  launch(device.stream(), square_sums_kernel<T>, static_cast<unsigned>(blocks), threads_per_block, 0, w, count,
         partial);
  launch(device.stream(), half_sum_kernel<T>, 1, threads_per_block, 0, partial, blocks, loss);
}

template <class T>
void weight_decay_backward(const Stream& stream, const T* w, const T* g, T* out, int64_t count) {
  launch(stream, weight_decay_backward_kernel<T>, blocks_for(count), threads_per_block, 0, w, g, out, count);
}

#define SIMT_WEIGHT_DECAY(T)                                     \
  template void weight_decay<T>(Device&, const T*, int64_t, T*); \
  template void weight_decay_backward<T>(const Stream&, const T*, const T*, T*, int64_t);
SIMT_WEIGHT_DECAY(float)
SIMT_WEIGHT_DECAY(double)
#undef SIMT_WEIGHT_DECAY

}  // namespace sae::SIMT_NAMESPACE
