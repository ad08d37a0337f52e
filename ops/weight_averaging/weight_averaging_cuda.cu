#include "ops/weight_averaging/weight_averaging_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL average_kernel(const T* value, T decay, T fraction, T* average, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    average[i] = decay * average[i] + fraction * value[i];
  }
}

template <class T>
SIMT_KERNEL scaled_average_kernel(const T* average, T scale, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = scale * average[i];
}

}  // namespace

template <class T>
void average_elements(const Stream& stream, const T* value, T decay, T fraction, T* average, int64_t count) {
  launch(stream, average_kernel<T>, blocks_for(count), threads_per_block, 0, value, decay, fraction, average, count);
}

template <class T>
void scaled_average(const Stream& stream, const T* average, T scale, T* out, int64_t count) {
  launch(stream, scaled_average_kernel<T>, blocks_for(count), threads_per_block, 0, average, scale, out, count);
}

template void average_elements<float>(const Stream&, const float*, float, float, float*, int64_t);
template void average_elements<double>(const Stream&, const double*, double, double, double*, int64_t);
template void scaled_average<float>(const Stream&, const float*, float, float*, int64_t);
template void scaled_average<double>(const Stream&, const double*, double, double*, int64_t);

}  // namespace sae::SIMT_NAMESPACE
