#include "engine/lanes_simd.h"

namespace sae::cpu::SIMD_NAMESPACE {

// A plain loop: the compiler vectorises it, square root and division included, because the pointers are restricted and
// -fno-math-errno is set for this file.
void adam_row_fast(float* __restrict w, float* __restrict m, float* __restrict v, const float* __restrict g,
                   int64_t count, const float* factors) {
  const float beta1 = factors[0], one_minus_beta1 = factors[1], beta2 = factors[2], one_minus_beta2 = factors[3];
  const float step_size = factors[4], root_correction = factors[5], epsilon = factors[6];
  for (int64_t i = 0; i < count; ++i) {
    m[i] = beta1 * m[i] + one_minus_beta1 * g[i];
    v[i] = beta2 * v[i] + one_minus_beta2 * (g[i] * g[i]);
    w[i] -= step_size * m[i] / (__builtin_sqrtf(v[i]) * root_correction + epsilon);
  }
}

}  // namespace sae::cpu::SIMD_NAMESPACE
