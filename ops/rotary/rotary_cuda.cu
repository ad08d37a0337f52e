#include "ops/rotary/rotary_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A thread for each pair.
template <class T>
SIMT_KERNEL rotary_kernel(RotaryRows p, const T* cosine, const T* sine, T* x) {
  const int64_t pairs = p.dimensions / 2;
  for (int64_t item = thread_in_grid(); item < p.rows * p.heads * pairs; item += threads_in_grid()) {
    const int64_t pair = item % pairs, head = item / pairs % p.heads, row = item / pairs / p.heads;
    const int64_t i = p.distance == 1 ? 2 * pair : pair, j = i + p.distance;
    const int64_t angle = row % p.length * p.dimensions;
    T* const elements = x + row * p.cols + head * p.head_dim;
    const T a = elements[i], b = elements[j];
    elements[i] = a * cosine[angle + i] + b * sine[angle + i];
    elements[j] = b * cosine[angle + j] + a * sine[angle + j];
  }
}

}  // namespace

template <class T>
void rotary(const Stream& stream, const RotaryRows& rows, const T* cosine, const T* sine, T* x) {
  launch(stream, rotary_kernel<T>, blocks_for(rows.rows * rows.heads * rows.dimensions / 2), threads_per_block, 0, rows,
         cosine, sine, x);
}

template void rotary<float>(const Stream&, const RotaryRows&, const float*, const float*, float*);
template void rotary<double>(const Stream&, const RotaryRows&, const double*, const double*, double*);

}  // namespace sae::SIMT_NAMESPACE
