#include "ops/sigmoid/sigmoid_cpu.h"

#include <cmath>

#include "engine/parallel.h"

namespace sae::cpu {

template <class T>
void sigmoid(const T* x, T* y, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = 1 / (1 + std::exp(-x[i]));
  });
}

template <class T>
void sigmoid_backward(const T* y, const T* g, T* out, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = g[i] * (y[i] * (1 - y[i]));
  });
}

template void sigmoid<float>(const float*, float*, int64_t);
template void sigmoid<double>(const double*, double*, int64_t);
template void sigmoid_backward<float>(const float*, const float*, float*, int64_t);
template void sigmoid_backward<double>(const double*, const double*, double*, int64_t);

}  // namespace sae::cpu
