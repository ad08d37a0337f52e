#include "ops/swiglu/swiglu_cuda.h"

#include <cmath>

#include "engine/convert.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T, class Out>
SIMT_KERNEL swiglu_kernel(const T* x, Out* y, int64_t rows, int64_t width) {
  for (int64_t i = thread_in_grid(); i < rows * width; i += threads_in_grid()) {
    const int64_t at = i + i / width * width;
    y[i] = convert<T, Out>(x[at] / (1 + std::exp(-x[at])) * x[at + width]);
  }
}

}  // namespace

template <class T, class Out>
void swiglu(const Stream& stream, const T* x, Out* y, int64_t rows, int64_t width) {
  launch(stream, swiglu_kernel<T, Out>, blocks_for(rows * width), threads_per_block, 0, x, y, rows, width);
}

template void swiglu<float, float>(const Stream&, const float*, float*, int64_t, int64_t);
template void swiglu<float, bfloat16>(const Stream&, const float*, bfloat16*, int64_t, int64_t);
template void swiglu<double, double>(const Stream&, const double*, double*, int64_t, int64_t);

}  // namespace sae::SIMT_NAMESPACE
