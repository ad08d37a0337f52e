#pragma once

#include <functional>

#include "models/explanation/pattern_search.h"

namespace sae {

/// What a latent is explained from.
struct LatentExamples {
  int64_t latent = 0;
  std::vector<Example> examples;
};

struct LatentPatterns {
  int64_t latent = 0;
  PatternTrie patterns;
  int64_t tokens_asked = 0;  ///< in the queries of its examples
};

/// A text, and the latent whose activation at its end is asked for.
struct ActivationQuery {
  int64_t latent = 0;
  std::span<const int32_t> tokens;
};

/// Answers queries: the activations, in their order.
using ActivationFunction = std::function<std::vector<float>(std::span<const ActivationQuery>)>;

/// Explains latents from their examples. The searches of many examples run side by side, `searches_at_once` of them,
/// and each round's queries are answered together. `finished` takes each latent when its last search has ended; the
/// patterns are inserted in the order of the examples. Stops where `finished` or `go_on`, asked before each round,
/// returns false.
void explain(std::span<const LatentExamples> latents, const SearchOptions& options, int64_t searches_at_once,
             const ActivationFunction& activations, const std::function<bool(LatentPatterns)>& finished,
             const std::function<bool()>& go_on);

}  // namespace sae
