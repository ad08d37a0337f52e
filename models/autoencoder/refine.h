#pragma once

#include "models/autoencoder/autoencoder.h"

namespace sae {

struct RefineOptions {
  int64_t iterations = 1000;  ///< at most, for each row
  double tolerance = 1e-5;    ///< a row is done once no value moves by more than this part of its largest
};

/// What the encoder's values would have to be for the decoder at hand (Gao et al., 5.1): which latents are active and
/// the decoder stay, the values of the active ones minimise |x - b_pre - z D|^2 subject to z >= 0, by projected
/// gradient descent with momentum, in double. Of an autoencoder without shrinkage they hardly move.
///   x: [rows, width] normalised rows; latents: their sparse latents, f32. Returns the pattern of `latents` with
///   refined values; a stored value that is not above 0 is no active latent, and stays.
/// Runs on the host: rows and latents of another device are copied to it, and the values back.
/// Cost for m active latents in a row: m^2 width once and m^2 an iteration.
Value refine(const Autoencoder& autoencoder, const Tensor& x, const Value& latents, const RefineOptions& options = {});

}  // namespace sae
