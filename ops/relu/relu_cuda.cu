#include "ops/relu/relu_cuda.h"

#include "engine/compress_rows_kernels.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL relu_kernel(const T* x, T* y, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) y[i] = x[i] <= 0 ? T{0} : x[i];
}

template <class T>
SIMT_KERNEL relu_backward_kernel(const T* y, const T* g, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = y[i] > 0 ? g[i] : T{0};
}

template <class T>
struct NotNegative {
  SIMT_DEVICE bool operator()(int64_t, int64_t, T value) const { return !(value <= 0); }
};

}  // namespace

template <class T>
void relu(const Stream& stream, const T* x, T* y, int64_t count) {
  launch(stream, relu_kernel<T>, blocks_for(count), threads_per_block, 0, x, y, count);
}

template <class T>
void relu_backward(const Stream& stream, const T* y, const T* g, T* out, int64_t count) {
  launch(stream, relu_backward_kernel<T>, blocks_for(count), threads_per_block, 0, y, g, out, count);
}

template <class T>
CompressedRows relu_compressed(const Tensor& x) {
  return compress_rows<T>(x, NotNegative<T>{});
}

template void relu<float>(const Stream&, const float*, float*, int64_t);
template void relu<double>(const Stream&, const double*, double*, int64_t);
template void relu_backward<float>(const Stream&, const float*, const float*, float*, int64_t);
template void relu_backward<double>(const Stream&, const double*, const double*, double*, int64_t);
template CompressedRows relu_compressed<float>(const Tensor&);
template CompressedRows relu_compressed<double>(const Tensor&);

}  // namespace sae::SIMT_NAMESPACE
