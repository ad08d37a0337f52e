#pragma once

#include <string>
#include <vector>

#include "engine/device.h"
#include "experiments/common/dictionary_match.h"

namespace sae {

/// Whole runs of one contestant at one target that differ in nothing but their seed.
struct SeedGroup {
  std::string activation;  ///< the contestant's name
  double target_l0 = 0;
  std::vector<std::string> autoencoders;  ///< files, that of the first seed first
};

/// How far two seeds find the same dictionary: the decoder of every further seed matched one to one with that of the
/// first, latents that never fire included. Writes PATH, a CSV with a line for each pair (activation, target_l0, pair,
/// mean cosine, part above 0.9), and returns the means as a table to read.
std::string write_seed_agreement(const std::string& path, const std::vector<SeedGroup>& groups, Device& device);

}  // namespace sae
