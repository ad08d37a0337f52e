#pragma once

// Shared with rotary_simd.cpp, so: no standard header with templates (see engine/simd.h).

#include <cstdint>

#include "engine/simd.h"

namespace sae {

/// The heads of a row: `count` of `size` elements, the first `dimensions` of which are turned.
struct RotaryHeads {
  int64_t count, size, dimensions;
};

// clang-format off
SIMD_DECLARE(void rotate_neighbours(float* x, const RotaryHeads& heads, const float* cosine, const float* sine))
SIMD_DECLARE(void rotate_halves(float* x, const RotaryHeads& heads, const float* cosine, const float* sine))
// clang-format on

}  // namespace sae
