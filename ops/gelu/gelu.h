#pragma once

#include "engine/tape.h"

namespace sae {

/// The Gaussian error linear unit (Hendrycks and Gimpel 2016), x times the probability that a standard normal number is
/// below x, and the approximation that GPT-2 and Gemma were trained with:
///   exact            x (1 + erf(x / sqrt(2))) / 2
///   tanh             x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2      "gelu_new", "gelu_pytorch_tanh"
enum class GeluForm { exact, tanh };

/// y = gelu(x).
///   x [rows, width] f32 or f64; y of the same shape.
/// `output` is x's dtype, or bf16 for an f32 x. Forward only: an input on a tape is refused.
Tensor gelu(const Variable& x, GeluForm form, Dtype output);

/// The gated form (Shazeer 2020): y[r, j] = gelu(x[r, j]) x[r, width + j].
///   x [rows, 2 width] f32 or f64: the gate's columns, then the other factor's, as one product makes them; y [rows,
///   width].
/// `output` is x's dtype, or bf16 for an f32 x. Forward only: an input on a tape is refused.
Tensor geglu(const Variable& x, GeluForm form, Dtype output);

}  // namespace sae
