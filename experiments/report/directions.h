#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "models/autoencoder/autoencoder.h"
#include "models/language_model/language_model.h"

namespace sae {

/// Something, and how much of it.
using Scored = std::pair<int32_t, float>;

/// What a latent's decoder direction says by itself.
struct DirectionReport {
  std::vector<Scored> promoted, suppressed;  ///< tokens, and what the direction alone adds to their scores
  std::vector<Scored> nearest;               ///< other latents, and the cosine of their directions with this one
};

/// Of each latent: its direct effect on the scores is logits(d) - logits(0), by way of the last normalisation; ten
/// tokens each way, and eight neighbours. Directions among the neurons of an MLP (mlp_hidden) are none of the residual
/// stream, and promote nothing by themselves.
std::vector<DirectionReport> direction_reports(const LanguageModel& model, const Autoencoder& autoencoder, Site site,
                                               std::span<const int64_t> latents);

}  // namespace sae
