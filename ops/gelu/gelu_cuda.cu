#include "ops/gelu/gelu_cuda.h"

#include <cmath>

#include "engine/convert.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_DEVICE T gelu_of(T x, bool exact) {
  if (exact) return x / 2 * std::erfc(-x * static_cast<T>(0.70710678118654752440));
  // (1 + tanh(u)) / 2 = 1 / (1 + e^(-2u)), which loses no digits far below 0
  const T twice = (x + static_cast<T>(0.044715) * x * x * x) * static_cast<T>(2 * 0.79788456080286535588);
  return x / (1 + std::exp(-twice));
}

template <class T, class Out>
SIMT_KERNEL gelu_kernel(const T* x, bool exact, bool gated, Out* y, int64_t rows, int64_t width) {
  for (int64_t i = thread_in_grid(); i < rows * width; i += threads_in_grid()) {
    const int64_t at = gated ? i + i / width * width : i;
    const T value = gelu_of(x[at], exact);
    y[i] = convert<T, Out>(gated ? value * x[at + width] : value);
  }
}

}  // namespace

template <class T, class Out>
void gelu(const Stream& stream, const T* x, bool exact, bool gated, Out* y, int64_t rows, int64_t width) {
  launch(stream, gelu_kernel<T, Out>, blocks_for(rows * width), threads_per_block, 0, x, exact, gated, y, rows, width);
}

template void gelu<float, float>(const Stream&, const float*, bool, bool, float*, int64_t, int64_t);
template void gelu<float, bfloat16>(const Stream&, const float*, bool, bool, bfloat16*, int64_t, int64_t);
template void gelu<double, double>(const Stream&, const double*, bool, bool, double*, int64_t, int64_t);

}  // namespace sae::SIMT_NAMESPACE
