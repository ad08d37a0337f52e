#pragma once

#include <cstdint>
#include <vector>

#include "experiments/common/activation_data.h"
#include "models/autoencoder/autoencoder.h"

namespace sae {

/// Where a latent fired, and how strongly.
struct Firing {
  int64_t row = 0;  ///< of the store
  float value = 0;
};

/// Every firing of every latent in a split, by latent, each in the order of the rows.
using Firings = std::vector<std::vector<Firing>>;
Firings find_firings(const Autoencoder& autoencoder, const SplitRows& rows);

/// What the report says of one latent in numbers.
struct LatentStatistics {
  double density = 0;  ///< share of the rows in which it fired
  double mean = 0;     ///< of its activation where it fired
  double maximum = 0;
  std::vector<int64_t> histogram;  ///< of the activations above 0, `histogram_bins` from 0 to the maximum
  std::vector<int32_t> tokens;     ///< those with the largest sums of activations, at most five
};
constexpr int64_t histogram_bins = 40;
LatentStatistics latent_statistics(const std::vector<Firing>& firings, const SplitRows& rows);

/// At most `count` firings drawn at random, without replacement: activations are drawn, not contexts.
std::vector<Firing> random_firings(const std::vector<Firing>& firings, int64_t count, uint64_t seed, int64_t latent);
/// The strongest firings, one of each context, strongest first.
std::vector<Firing> top_firings(const std::vector<Firing>& firings, int64_t count, int64_t context_length);

/// Which latents get pages: all with `count` 0; else those of `included` and, drawn at random, others that fired.
/// Ascending.
std::vector<int64_t> sample_latents(const Firings& firings, int64_t count, const std::vector<int64_t>& included,
                                    uint64_t seed);

}  // namespace sae
