#pragma once

#include "engine/tape.h"

namespace sae {

/// y[r, j] = gain[j] x[r, j] / sqrt(mean over j of x[r, j]^2 + epsilon)   (Zhang and Sennrich 2019; no mean removed)
///   x [rows, width] f32 or f64, gain [width] of the same dtype; y [rows, width].
/// `output` is x's dtype, or bf16 for an f32 x: what a bfloat16 product reads, without a pass of its own.
/// Forward only: an input on a tape is refused.
Tensor rms_norm(const Variable& x, const Variable& gain, double epsilon, Dtype output);

}  // namespace sae
