#pragma once

#include "engine/tape.h"

namespace sae {

/// y[r, j] = gain[j] x[r, j] / sqrt(mean over j of x[r, j]^2 + epsilon)   (Zhang and Sennrich 2019; no mean removed)
///   x [rows, width] f32 or f64, gain [width] of the same dtype; y [rows, width].
/// `output` is x's dtype, or bf16 for an f32 x: what a bfloat16 product reads, without a pass of its own.
/// Forward only: an input on a tape is refused.
Tensor rms_norm(const Variable& x, const Variable& gain, double epsilon, Dtype output);

/// The same for parts of rows: each of the `heads` groups of columns that follow each other from column `first` on is a
/// row of its own, as long as the gain; the other columns stay as they are. How queries and keys are normalised.
///   x [rows, at least first + heads * width] f32 or f64, gain [width] of the same dtype.
/// Written into x's memory if x was the last handle on it. Forward only: an input on a tape is refused.
Tensor rms_norm_heads(Variable x, int64_t first, int64_t heads, const Variable& gain, double epsilon);

}  // namespace sae
