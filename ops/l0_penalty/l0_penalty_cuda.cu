#include "ops/l0_penalty/l0_penalty_cuda.h"

#include <cmath>

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

constexpr int64_t rows_of_thread = 256;

// A thread for each column of each chunk of rows. The counts are whole numbers, whose sum is the same in any order.
template <class T>
SIMT_KERNEL count_kernel(const T* x, const T* threshold, T bandwidth, int64_t rows, int64_t cols, int32_t* above,
                         int32_t* close) {
  const int64_t chunks = (rows + rows_of_thread - 1) / rows_of_thread;
  for (int64_t i = thread_in_grid(); i < chunks * cols; i += threads_in_grid()) {
    const int64_t first = i / cols * rows_of_thread, col = i % cols;
    const int64_t last = first + rows_of_thread < rows ? first + rows_of_thread : rows;
    const T limit = threshold[col];
    int32_t above_limit = 0, close_to_limit = 0;
    for (int64_t row = first; row < last; ++row) {
      const T value = x[row * cols + col];
      above_limit += value > limit;
      close_to_limit += std::abs(value - limit) < bandwidth / 2;
    }
    atomicAdd(&above[col], above_limit);
    atomicAdd(&close[col], close_to_limit);
  }
}

// One block. Sums of whole numbers are exact in double up to 2^53.
template <class T>
SIMT_KERNEL loss_kernel(const int32_t* above, int64_t rows, int64_t cols, T* loss) {
  double sum = 0;
  for (int64_t col = threadIdx.x; col < cols; col += blockDim.x) sum += above[col];
  sum = block_sum(sum);
  if (threadIdx.x == 0) loss[0] = static_cast<T>(sum / static_cast<double>(rows > 0 ? rows : 1));
}

template <class T>
SIMT_KERNEL l0_penalty_backward_kernel(const int32_t* close, const T* g, double scale, T* out, int64_t cols) {
  const double factor = scale * static_cast<double>(g[0]);
  for (int64_t col = thread_in_grid(); col < cols; col += threads_in_grid()) {
    out[col] = static_cast<T>(factor * static_cast<double>(close[col]));
  }
}

}  // namespace

template <class T>
void l0_penalty(Device& device, const T* x, const T* threshold, T bandwidth, int64_t rows, int64_t cols, int32_t* close,
                T* loss) {
  const size_t bytes = static_cast<size_t>(cols) * sizeof(int32_t);
  const auto counts = device.allocate(bytes);
  auto* above = static_cast<int32_t*>(counts->data());
  device.clear(above, bytes);
  device.clear(close, bytes);
  const int64_t chunks = (rows + rows_of_thread - 1) / rows_of_thread;
  launch(device.stream(), count_kernel<T>, blocks_for(chunks * cols), threads_per_block, 0, x, threshold, bandwidth,
         rows, cols, above, close);
  launch(device.stream(), loss_kernel<T>, 1, threads_per_block, 0, above, rows, cols, loss);
}

template <class T>
void l0_penalty_backward(const Stream& stream, const int32_t* close, const T* g, double scale, T* out, int64_t cols) {
  launch(stream, l0_penalty_backward_kernel<T>, blocks_for(cols), threads_per_block, 0, close, g, scale, out, cols);
}

#define SIMT_L0_PENALTY(T)                                                                     \
  template void l0_penalty<T>(Device&, const T*, const T*, T, int64_t, int64_t, int32_t*, T*); \
  template void l0_penalty_backward<T>(const Stream&, const int32_t*, const T*, double, T*, int64_t);
SIMT_L0_PENALTY(float)
SIMT_L0_PENALTY(double)
#undef SIMT_L0_PENALTY

}  // namespace sae::SIMT_NAMESPACE
