#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// y [rows, width] = silu(x[., j]) x[., width + j] of x [rows, 2 width]; T, Out: float, float or bfloat16, or double.
SIMT_DECLARE(template <class T, class Out>
             void swiglu(const Stream& stream, const T* x, Out* y, int64_t rows, int64_t width))

}  // namespace sae
