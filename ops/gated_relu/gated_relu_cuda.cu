#include "ops/gated_relu/gated_relu_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL gated_relu_kernel(const T* u, const T* gate, const T* scale, const T* bias, T* z, int64_t count,
                              int64_t cols) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const int64_t col = i % cols;
    const T magnitude = scale[col] * u[i] + bias[col];
    const bool closed = u[i] + gate[col] <= 0 || magnitude <= 0;
    z[i] = closed ? T{0} : magnitude;
  }
}

template <class T>
SIMT_KERNEL gated_relu_backward_kernel(const T* z, const T* u, const T* g, T* passed, T* times_u, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const T open = z[i] > 0 ? g[i] : T{0};
    passed[i] = open;
    times_u[i] = open * u[i];
  }
}

template <class T>
SIMT_KERNEL scale_columns_kernel(const T* values, EntryColumns columns, const T* scale, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = values[i] * scale[columns.of(i)];
}

}  // namespace

template <class T>
void gated_relu(const Stream& stream, const T* u, const T* gate, const T* scale, const T* bias, T* z, int64_t rows,
                int64_t cols) {
  launch(stream, gated_relu_kernel<T>, blocks_for(rows * cols), threads_per_block, 0, u, gate, scale, bias, z,
         rows * cols, cols);
}

template <class T>
void gated_relu_backward(const Stream& stream, const T* z, const T* u, const T* g, T* passed, T* times_u,
                         int64_t count) {
  launch(stream, gated_relu_backward_kernel<T>, blocks_for(count), threads_per_block, 0, z, u, g, passed, times_u,
         count);
}

template <class T>
void scale_columns(const Stream& stream, const T* values, EntryColumns columns, const T* scale, T* out, int64_t count) {
  launch(stream, scale_columns_kernel<T>, blocks_for(count), threads_per_block, 0, values, columns, scale, out, count);
}

#define SIMT_GATED_RELU(T)                                                                                  \
  template void gated_relu<T>(const Stream&, const T*, const T*, const T*, const T*, T*, int64_t, int64_t); \
  template void gated_relu_backward<T>(const Stream&, const T*, const T*, const T*, T*, T*, int64_t);       \
  template void scale_columns<T>(const Stream&, const T*, EntryColumns, const T*, T*, int64_t);
SIMT_GATED_RELU(float)
SIMT_GATED_RELU(double)
#undef SIMT_GATED_RELU

}  // namespace sae::SIMT_NAMESPACE
