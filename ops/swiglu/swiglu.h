#pragma once

#include "engine/tape.h"

namespace sae {

/// The gated activation of llama's feed-forward (Shazeer 2020): y[r, j] = silu(x[r, j]) x[r, width + j], with
/// silu(t) = t / (1 + e^-t).
///   x [rows, 2 width] f32 or f64: the gate's columns, then the other factor's, as one product makes them; y [rows,
///   width].
/// `output` is x's dtype, or bf16 for an f32 x. Forward only: an input on a tape is refused.
Tensor swiglu(const Variable& x, Dtype output);

}  // namespace sae
