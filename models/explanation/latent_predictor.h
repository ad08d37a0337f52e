#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "models/explanation/explanation_file.h"

namespace sae {

struct LatentActivation {
  int32_t latent = 0;
  double activation = 0;  ///< above 0
};

/// What the explanations of many latents predict at one token. Tries are found by the tokens on which their patterns
/// end, so that a token costs the latents that may fire there: those, and all with a pattern that ends on the wildcard.
class LatentPredictor {
 public:
  /// One explanation a latent.
  explicit LatentPredictor(std::span<const Explanation> explanations);

  /// The latents that are predicted to fire at the last of these tokens, ascending. The first of them is the first
  /// token of the context, as for PatternTrie::predict.
  std::vector<LatentActivation> predict(std::span<const int32_t> context) const;

 private:
  struct Explained {
    int32_t latent = 0;
    PatternTrie trie;
  };
  std::vector<Explained> explained_;                            // by latent
  std::unordered_map<int32_t, std::vector<int32_t>> by_token_;  // places in explained_, of those not in anywhere_
  std::vector<int32_t> anywhere_;                               // of those with a pattern that ends on the wildcard
};

}  // namespace sae
