#pragma once

#include "models/autoencoder/autoencoder.h"

namespace sae {

/// training: batch_topk chooses in the whole batch, and jump_relu stores what its thresholds' gradient needs.
/// inference: a row's latents depend on that row alone, and only active ones are stored.
enum class Phase { training, inference };

struct Latents {
  /// Dense: E (x - b_pre), and b_enc unless the activation has another use for it. Empty where topk_encode left it out.
  std::optional<Variable> pre_activations;
  Variable values;
};

/// The latents of normalised rows x: each activation's formula is one case here.
Latents latents_of(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, Phase phase,
                   const PassOptions& how);

/// D^T z + b_pre.
Variable reconstruct(const Weights& weights, const Variable& latents, Precision precision);

}  // namespace sae
