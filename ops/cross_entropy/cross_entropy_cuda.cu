#include "ops/cross_entropy/cross_entropy_cuda.h"

#include <cmath>

#include "engine/largest_kernels.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A block for each row: a vocabulary is long.
template <class T>
SIMT_KERNEL cross_entropy_kernel(const T* x, const int32_t* target, T* loss, int64_t rows, int64_t classes) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    if (target[row] < 0) {
      if (threadIdx.x == 0) loss[row] = 0;
      continue;
    }
    const T* scores = x + row * classes;
    T top = scores[0], sum = 0;
    for (int64_t j = threadIdx.x; j < classes; j += blockDim.x) top = scores[j] > top ? scores[j] : top;
    top = block_max(top);
    for (int64_t j = threadIdx.x; j < classes; j += blockDim.x) sum += std::exp(scores[j] - top);
    sum = block_sum(sum);
    if (threadIdx.x == 0) loss[row] = top + std::log(sum) - scores[target[row]];
  }
}

}  // namespace

template <class T>
void cross_entropy(const Stream& stream, const T* x, const int32_t* target, T* loss, int64_t rows, int64_t classes) {
  launch(stream, cross_entropy_kernel<T>, blocks_for_rows(rows), threads_per_block, 0, x, target, loss, rows, classes);
}

template void cross_entropy<float>(const Stream&, const float*, const int32_t*, float*, int64_t, int64_t);
template void cross_entropy<double>(const Stream&, const double*, const int32_t*, double*, int64_t, int64_t);

}  // namespace sae::SIMT_NAMESPACE
