#pragma once

#include <string>
#include <vector>

#include "experiments/common/dictionary_match.h"
#include "experiments/toy_features/toy_features.h"

namespace sae {

/// One trained autoencoder, and how much of the dictionary it holds.
struct Recovery {
  std::string activation;
  int64_t latents = 0, k = 0;
  double penalty = 0, learning_rate = 0, l0 = 0, normalised_mse = 0, dead_fraction = 0;
  DictionaryMatch match;
};

/// Writes recovery.csv, and recovery.svg/.png/.gp: at the first number of latents the mean cosine over L0, a curve for
/// each activation; and, of more than one, the best of each activation over the number of latents.
void write_recoveries(const std::string& folder, const std::vector<Recovery>& rows, const ToyOptions& data);

}  // namespace sae
