#include "ops/jump_relu/jump_relu_cpu.h"

#include "engine/parallel.h"

namespace sae::cpu {
namespace {

/// Calls f(entry, column) for every entry.
template <class F>
void for_entries(const SparseRows& entries, F&& f) {
  const int64_t grain = entries.rows == 0 ? 1 : grain_for(entries.stored() / entries.rows);
  parallel_for(entries.rows, grain, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const int64_t begin = entries.begin(row), end = entries.end(row);
      if (entries.index == nullptr) {
        for (int64_t e = begin; e < end; ++e) f(e, e - begin);
      } else {
        for (int64_t e = begin; e < end; ++e) f(e, int64_t{entries.index[e]});
      }
    }
  });
}

}  // namespace

template <class T>
void jump_relu(const SparseRows& entries, const T* x, const T* threshold, T* y) {
  for_entries(entries, [&](int64_t e, int64_t col) { y[e] = x[e] <= threshold[col] ? T{0} : x[e]; });
}

template <class T>
void jump_relu_backward(const SparseRows& entries, const T* x, const T* threshold, T bandwidth, const T* g, T* dx,
                        T* pull) {
  const T scale = bandwidth > 0 ? -1 / bandwidth : T{0};
  for_entries(entries, [&](int64_t e, int64_t col) {
    const T value = g[e], limit = threshold[col];
    dx[e] = x[e] > limit ? value : T{0};
    pull[e] = near_threshold(x[e], limit, bandwidth) ? value * (limit * scale) : T{0};
  });
}

template void jump_relu<float>(const SparseRows&, const float*, const float*, float*);
template void jump_relu<double>(const SparseRows&, const double*, const double*, double*);
template void jump_relu_backward<float>(const SparseRows&, const float*, const float*, float, const float*, float*,
                                        float*);
template void jump_relu_backward<double>(const SparseRows&, const double*, const double*, double, const double*,
                                         double*, double*);

}  // namespace sae::cpu
