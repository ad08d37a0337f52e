#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "models/autoencoder/autoencoder.h"

namespace sae {

/// A latent that is held at a value, in the units of latents of normalised rows, whatever it would be.
struct LatentClamp {
  int64_t latent = 0;
  float value = 0;
};

/// Parses "12=0.5,40=0"; an empty text is none. Throws on anything else, on a latent that the autoencoder does not
/// have and on one that is named twice.
std::vector<LatentClamp> parse_clamps(std::string_view text, const AutoencoderOptions& options);

/// Steering: x + norm (decode(clamped latents) - decode(latents)) for each row of x [rows, width] in the model's own
/// units, so that what the autoencoder does not reconstruct stays as it is. Rows in which no clamp changes a latent
/// keep their bits.
Tensor clamp_latents(const Autoencoder& autoencoder, const std::vector<LatentClamp>& clamps, const Tensor& x);

}  // namespace sae
