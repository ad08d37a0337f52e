#include "ops/skeleton/skeleton_cpu.h"

#include "engine/parallel.h"

namespace sae::cpu {

// Plain loops, which the compiler vectorises as long as they have no jumps: both sides of a selection are computed
// first, then one is taken.

template <class T>
void skeleton(const T* x, T slope, T* y, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T leaked = slope * x[i];
      y[i] = x[i] > 0 ? x[i] : leaked;
    }
  });
}

template <class T>
void skeleton_backward(const T* x, const T* g, T slope, T* out, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = g[i] * (x[i] > 0 ? T{1} : slope);
  });
}

// The templates are instantiated here and not in the header, so that a kernel is compiled once.
template void skeleton<float>(const float*, float, float*, int64_t);
template void skeleton<double>(const double*, double, double*, int64_t);
template void skeleton_backward<float>(const float*, const float*, float, float*, int64_t);
template void skeleton_backward<double>(const double*, const double*, double, double*, int64_t);

}  // namespace sae::cpu
