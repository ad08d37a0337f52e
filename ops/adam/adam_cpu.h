#pragma once

#include <cmath>
#include <cstdint>

#include "engine/simd.h"
#include "ops/adam/adam_factors.h"

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

// clang-format off
SIMD_DECLARE(void adam_row_fast(float* w, float* m, float* v, const float* g, int64_t count, const float* factors))
// clang-format on

/// The same bits as the reference, vectorised.
inline void adam_row_fast(float* w, float* m, float* v, const float* g, int64_t count,
                          const AdamFactors<float>& factors) {
  const float packed[7] = {factors.beta1,     factors.one_minus_beta1, factors.beta2,  factors.one_minus_beta2,
                           factors.step_size, factors.root_correction, factors.epsilon};
  SIMD_CALL(adam_row_fast, w, m, v, g, count, packed);
}
inline void adam_row_fast(double* w, double* m, double* v, const double* g, int64_t count,
                          const AdamFactors<double>& factors) {
  adam_row(w, m, v, g, count, factors);
}

}  // namespace sae::cpu
