#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// y [rows, width] = gelu(x), in the exact form or that of tanh; gated: of the first of x's 2 width columns, times the
/// others. T, Out: float, float or bfloat16, or double.
SIMT_DECLARE(template <class T, class Out>
             void gelu(const Stream& stream, const T* x, bool exact, bool gated, Out* y, int64_t rows, int64_t width))

}  // namespace sae
