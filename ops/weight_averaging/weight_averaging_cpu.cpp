#include "ops/weight_averaging/weight_averaging_cpu.h"

#include "engine/parallel.h"

namespace sae::cpu {

template <class T>
void scaled(const T* average, T scale, T* out, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = scale * average[i];
  });
}

template void scaled<float>(const float*, float, float*, int64_t);
template void scaled<double>(const double*, double, double*, int64_t);

}  // namespace sae::cpu
