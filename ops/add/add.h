#pragma once

#include "engine/tape.h"

namespace sae {

/// y[r] = a[r] + b[r mod rows of b]: what a block adds to the residual stream, or the vectors of a context's positions
/// to every context.
///   a [rows, width] f32 or f64; b of the same width and dtype, its rows a divisor of a's.
/// Written into a's memory if a was the last handle on it. Forward only: an input on a tape is refused.
Tensor add(Variable a, const Variable& b);

}  // namespace sae
