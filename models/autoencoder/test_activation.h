#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/autoencoder/autoencoder.h"

namespace sae {

/// A trained autoencoder whose latents are chosen in another way when it is used (Gao et al., 5.3). All three take
/// the activations whose pre-activations are E (x - b_pre) + b_enc, and throw on prolu, gated and sigmoid. The copies
/// share the weights' memory.

/// The same weights with z = ReLU of the k largest pre-activations of each row. Throws unless 1 <= k <= latents.
Autoencoder with_topk(const Autoencoder& autoencoder, int64_t k);

/// The same weights with z = pre where pre > threshold, one threshold for all latents, above 0 (JumpReLU).
Autoencoder with_threshold(const Autoencoder& autoencoder, double threshold);

/// The thresholds at which these normalised rows have a mean number of active latents of each of `l0`: quantiles of
/// their pre-activations. Nothing where fewer latents than that are above 0, so that no threshold reaches it.
///   x: [rows, width]; l0: each at least 1.
/// Cost: one encoding of the rows; memory for 2 rows max(l0) numbers, and for the rows' positive pre-activations in
/// batches of 1024.
std::vector<std::optional<double>> thresholds_for(const Autoencoder& autoencoder, const Tensor& x,
                                                  std::span<const int64_t> l0);

}  // namespace sae
