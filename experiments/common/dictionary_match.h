#pragma once

#include "engine/tensor.h"

namespace sae {

/// A copy with rows of length 1; a row of zeros stays.
Tensor unit_rows(const Tensor& matrix);

/// How well a decoder holds the directions of a dictionary (a known one, or another decoder), matched one to one so
/// that no latent counts twice.
struct DictionaryMatch {
  double mean_cosine = 0;  ///< over the directions; one without a latent of its own (fewer latents than these) counts 0
  double found = 0;        ///< part of the directions whose cosine is above 0.9
};
/// decoder [latents, width], directions [features, width]; rows need no particular length. Cost: that of an assignment.
DictionaryMatch match_dictionary(const Tensor& decoder, const Tensor& directions);

}  // namespace sae
