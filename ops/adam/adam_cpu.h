#pragma once

#include <cmath>
#include <cstdint>

#include "engine/row_kernels.h"
#include "engine/simd.h"
#include "ops/adam/adam_factors.h"
#include "ops/adam/stepped_row.h"
#include "ops/unit_norm/row_projection.h"
#include "ops/weight_averaging/weight_averaging_cpu.h"

namespace sae::cpu {

/// The reference: one row of the update in AdamFactors' terms.
template <class T>
void adam_row(T* w, T* m, T* v, const T* g, int64_t count, const AdamFactors<T>& factors) {
  for (int64_t i = 0; i < count; ++i) {
    m[i] = factors.beta1 * m[i] + factors.one_minus_beta1 * g[i];
    v[i] = factors.beta2 * v[i] + factors.one_minus_beta2 * (g[i] * g[i]);
    w[i] -= factors.step_size * m[i] / (std::sqrt(v[i]) * factors.root_correction + factors.epsilon);
  }
}

/// The whole of adam.h for one row, then its part in the moving average; the reference. Writes over the gradient;
/// returns the sum of squares of the new weights, which is not finite if one of them is not.
template <class T>
T step_row_plainly(const SteppedRow<T>& row, int64_t width, const AdamFactors<T>& factors, bool unit_norm) {
  if (unit_norm) remove_parallel(row.gradient, row.weights, width);
  adam_row(row.weights, row.first_moment, row.second_moment, row.gradient, width, factors);
  if (unit_norm) normalise_row(row.weights, width);
  if (row.average != nullptr) average_row(row.weights, row.decay, row.fraction, row.average, width);
  return dot(row.weights, row.weights, width);
}

// clang-format off
SIMD_DECLARE(float step_row(const SteppedRow<float>& row, int64_t width, const float* factors, bool unit_norm))
// clang-format on

/// The same bits in one pass over the row, or two with a constraint; meanwhile the memory behind the row is fetched.
inline float step_row(const SteppedRow<float>& row, int64_t width, const AdamFactors<float>& factors, bool unit_norm) {
  const float packed[7] = {factors.beta1,     factors.one_minus_beta1, factors.beta2,  factors.one_minus_beta2,
                           factors.step_size, factors.root_correction, factors.epsilon};
  return SIMD_CALL(step_row, row, width, packed, unit_norm);
}
inline double step_row(const SteppedRow<double>& row, int64_t width, const AdamFactors<double>& factors,
                       bool unit_norm) {
  return step_row_plainly(row, width, factors, unit_norm);
}

}  // namespace sae::cpu
