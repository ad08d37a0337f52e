#pragma once

#include "engine/tape.h"

namespace sae {

/// y[r, j] = gain[j] (x[r, j] - m) / sqrt(v + epsilon) + bias[j], with m the mean of row r and v the mean of
/// (x[r, j] - m)^2 (Ba, Kiros and Hinton 2016).
///   x [rows, width] f32 or f64; gain and bias [width] of the same dtype; y [rows, width].
/// The variance is that of the differences from the mean, in a second pass, so that a large mean costs no digits.
/// `output` is x's dtype, or bf16 for an f32 x: what a bfloat16 product reads, without a pass of its own.
/// Forward only: an input on a tape is refused.
Tensor layer_norm(const Variable& x, const Variable& gain, const Variable& bias, double epsilon, Dtype output);

}  // namespace sae
