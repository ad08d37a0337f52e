#include "ops/l1_penalty/l1_penalty_cpu.h"

#include <cmath>

#include "engine/ordered_sum.h"

namespace sae::cpu {
namespace {

int64_t row_grain(const SparseRows& entries) {
  return entries.rows == 0 ? 1 : grain_for(entries.stored() / entries.rows);
}

}  // namespace

template <class T>
double weighted_magnitudes(const SparseRows& entries, const T* values, const double* weights) {
  // Row by row into an array, because the grain depends on how many entries are stored and the order must not.
  std::vector<double> sums(static_cast<size_t>(entries.rows));
  parallel_for(entries.rows, row_grain(entries), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const T* begin = values + entries.begin(row);
      sums[static_cast<size_t>(row)] =
          weights[row] * lane_sum(entries.end(row) - entries.begin(row), [&](int64_t i) { return std::abs(begin[i]); });
    }
  });
  return lane_sum(entries.rows, [&](int64_t row) { return sums[static_cast<size_t>(row)]; });
}

template <class T>
void weighted_signs(const SparseRows& entries, const T* values, const double* weights, T* out) {
  parallel_for(entries.rows, row_grain(entries), [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const T weight = static_cast<T>(weights[row]);
      const int64_t begin = entries.begin(row), end = entries.end(row);
      for (int64_t e = begin; e < end; ++e) {
        const int sign = int{values[e] > 0} - int{values[e] < 0};
        out[e] = weight * static_cast<T>(sign);
      }
    }
  });
}

template double weighted_magnitudes<float>(const SparseRows&, const float*, const double*);
template double weighted_magnitudes<double>(const SparseRows&, const double*, const double*);
template void weighted_signs<float>(const SparseRows&, const float*, const double*, float*);
template void weighted_signs<double>(const SparseRows&, const double*, const double*, double*);

}  // namespace sae::cpu
