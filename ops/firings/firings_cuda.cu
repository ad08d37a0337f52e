#include "ops/firings/firings_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// Whole numbers add up to the same in any order, so here an atomic is harmless.
template <class T>
SIMT_KERNEL add_firings_kernel(const T* values, const int32_t* index, int64_t stored, int64_t cols, T above,
                               int* counts) {
  for (int64_t e = thread_in_grid(); e < stored; e += threads_in_grid()) {
    if (values[e] > above) atomicAdd(counts + (index != nullptr ? index[e] : e % cols), 1);
  }
}

}  // namespace

template <class T>
void add_firings(const Stream& stream, const T* values, const int32_t* index, int64_t stored, int64_t cols, T above,
                 int* counts) {
  launch(stream, add_firings_kernel<T>, blocks_for(stored), threads_per_block, 0, values, index, stored, cols, above,
         counts);
}

template void add_firings<float>(const Stream&, const float*, const int32_t*, int64_t, int64_t, float, int*);
template void add_firings<double>(const Stream&, const double*, const int32_t*, int64_t, int64_t, double, int*);

}  // namespace sae::SIMT_NAMESPACE
