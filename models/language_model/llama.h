#pragma once

#include "models/language_model/transformer.h"

namespace sae {

/// Llama (Touvron et al. 2023) and what shares its form, SmolLM2 among it. A block, on the residual stream x:
///   x += W_o attention(rotary(W_q n, W_k n), W_v n),   n = rms_norm(x)
///   x += W_down (silu(W_gate n) * W_up n),             n = rms_norm(x)
/// GGUF stores the rows of W_q and W_k such that rotary pairs are neighbours. Rope scaling, biases and experts are
/// refused, as is every tensor in the file that the form above does not use.
std::unique_ptr<Transformer> load_llama(const GgufFile& file, Device& device, Precision precision);

}  // namespace sae
