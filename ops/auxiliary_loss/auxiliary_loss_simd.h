#pragma once

#include <cstdint>

#include "engine/simd.h"

namespace sae::cpu {

// clang-format off
/// Rounds to the bits of bfloat16, to nearest, ties to even; not for a NaN.
SIMD_DECLARE(void round_row(const float* from, int64_t count, uint16_t* to))
/// pre = relu(pre + bias) where it is among the k largest of the row, else 0. False if a pre-activation is not finite.
SIMD_DECLARE(bool activate_row(float* pre, const float* bias, int64_t count, int64_t k))
/// gradient = 0 where active is 0.
SIMD_DECLARE(void mask_row(float* gradient, const uint16_t* active, int64_t count))
// clang-format on

}  // namespace sae::cpu
