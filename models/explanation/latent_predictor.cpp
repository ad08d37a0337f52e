#include "models/explanation/latent_predictor.h"

#include <algorithm>

#include "engine/error.h"

namespace sae {

LatentPredictor::LatentPredictor(std::span<const Explanation> explanations) {
  for (const Explanation& explanation : explanations) {
    explained_.push_back({static_cast<int32_t>(explanation.latent), explanation.trie()});
  }
  std::sort(explained_.begin(), explained_.end(),
            [](const Explained& a, const Explained& b) { return a.latent < b.latent; });
  for (size_t i = 0; i < explained_.size(); ++i) {
    CHECK(i == 0 || explained_[i - 1].latent != explained_[i].latent, "explanations: latent {} is explained twice",
          explained_[i].latent);
    const auto place = static_cast<int32_t>(i);
    if (explained_[i].trie.ends_on_any_token()) {
      anywhere_.push_back(place);
      continue;
    }
    for (const int32_t token : explained_[i].trie.last_tokens()) by_token_[token].push_back(place);
  }
}

std::vector<LatentActivation> LatentPredictor::predict(std::span<const int32_t> context) const {
  std::vector<LatentActivation> found;
  const auto look = [&](const std::vector<int32_t>& places) {
    for (const int32_t place : places) {
      const Explained& one = explained_[static_cast<size_t>(place)];
      const double activation = one.trie.predict(context);
      if (activation > 0) found.push_back({one.latent, activation});
    }
  };
  if (context.empty()) return found;
  const auto ending_here = by_token_.find(context.back());
  if (ending_here != by_token_.end()) look(ending_here->second);
  look(anywhere_);
  std::sort(found.begin(), found.end(),
            [](const LatentActivation& a, const LatentActivation& b) { return a.latent < b.latent; });
  return found;
}

}  // namespace sae
