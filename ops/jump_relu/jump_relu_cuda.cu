#include "ops/jump_relu/jump_relu_cuda.h"

#include <cmath>

#include "engine/compress_rows_kernels.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL jump_relu_kernel(EntryColumns columns, const T* x, const T* threshold, T* y, int64_t count) {
  for (int64_t e = thread_in_grid(); e < count; e += threads_in_grid()) {
    y[e] = x[e] <= threshold[columns.of(e)] ? T{0} : x[e];
  }
}

template <class T>
SIMT_KERNEL jump_relu_backward_kernel(JumpReluGradient<T> p) {
  const T scale = p.bandwidth > 0 ? -1 / p.bandwidth : T{0};
  for (int64_t e = thread_in_grid(); e < p.count; e += threads_in_grid()) {
    const T value = p.g[e], limit = p.threshold[p.columns.of(e)];
    const bool near = std::abs(p.x[e] - limit) < p.bandwidth / 2;
    p.dx[e] = p.x[e] > limit ? value : T{0};
    p.pull[e] = near ? value * (limit * scale) : T{0};
  }
}

template <class T>
struct AboveKernel {
  const T* threshold;
  T half_width;
  SIMT_DEVICE bool operator()(int64_t, int64_t col, T value) const { return !(value <= threshold[col] - half_width); }
};

}  // namespace

template <class T>
void jump_relu(const Stream& stream, EntryColumns columns, const T* x, const T* threshold, T* y, int64_t count) {
  launch(stream, jump_relu_kernel<T>, blocks_for(count), threads_per_block, 0, columns, x, threshold, y, count);
}

template <class T>
void jump_relu_backward(const Stream& stream, const JumpReluGradient<T>& gradient) {
  launch(stream, jump_relu_backward_kernel<T>, blocks_for(gradient.count), threads_per_block, 0, gradient);
}

template <class T>
CompressedRows above_kernel(const Tensor& x, const T* threshold, T bandwidth) {
  return compress_rows<T>(x, AboveKernel<T>{threshold, bandwidth / 2});
}

#define SIMT_JUMP_RELU(T)                                                                   \
  template void jump_relu<T>(const Stream&, EntryColumns, const T*, const T*, T*, int64_t); \
  template void jump_relu_backward<T>(const Stream&, const JumpReluGradient<T>&);           \
  template CompressedRows above_kernel<T>(const Tensor&, const T*, T);
SIMT_JUMP_RELU(float)
SIMT_JUMP_RELU(double)
#undef SIMT_JUMP_RELU

}  // namespace sae::SIMT_NAMESPACE
