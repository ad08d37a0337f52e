#include "ops/add_row/add_row_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A block for each row: its threads read neighbouring columns.
template <class T>
SIMT_KERNEL add_row_kernel(const T* x, const T* b, T* y, int64_t rows, int64_t cols) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    for (int64_t col = threadIdx.x; col < cols; col += blockDim.x) y[row * cols + col] = x[row * cols + col] + b[col];
  }
}

}  // namespace

template <class T>
void add_row(const Stream& stream, const T* x, const T* b, T* y, int64_t rows, int64_t cols) {
  launch(stream, add_row_kernel<T>, blocks_for_rows(rows), threads_per_block, 0, x, b, y, rows, cols);
}

template void add_row<float>(const Stream&, const float*, const float*, float*, int64_t, int64_t);
template void add_row<double>(const Stream&, const double*, const double*, double*, int64_t, int64_t);

}  // namespace sae::SIMT_NAMESPACE
