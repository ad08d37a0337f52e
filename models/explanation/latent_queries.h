#pragma once

#include "models/autoencoder/autoencoder.h"
#include "models/explanation/explainer.h"
#include "models/language_model/language_model.h"

namespace sae {

/// Answers queries with a language model and an autoencoder: the text alone, from position 0, through the blocks up to
/// the autoencoder's place, the last row normalised and encoded. With topk all latents compete for that row, as they do
/// in a text.
///
/// Equal texts run once, whatever latents ask about them, and so does what texts of a batch begin with alike: the
/// prefix of all, and what stands before the token that a query replaces. Texts of nearly one length share a batch;
/// every thread runs a batch of its own. An answer does not depend on the other queries.
class LatentQueries {
 public:
  /// Keeps references. Throws where the autoencoder's width is not that of the model.
  LatentQueries(const LanguageModel& model, SitePlace place, const Autoencoder& autoencoder);

  /// Throws on an unknown latent, on an empty text and on one longer than the model's context.
  std::vector<float> answer(std::span<const ActivationQuery> queries);

  int64_t tokens_asked() const { return tokens_asked_; }
  /// Rows that went through the model: fewer than tokens_asked() where texts were equal, or began so.
  int64_t tokens_run() const { return tokens_run_; }
  /// In the model and the autoencoder.
  double seconds() const { return seconds_; }

 private:
  const LanguageModel& model_;
  SitePlace place_;
  const Autoencoder& autoencoder_;
  int64_t tokens_asked_ = 0, tokens_run_ = 0;
  double seconds_ = 0;
};

}  // namespace sae
