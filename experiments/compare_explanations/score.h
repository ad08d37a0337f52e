#pragma once

#include <cstdint>
#include <vector>

#include "experiments/explain/latent_firings.h"
#include "experiments/explain/token_stream.h"
#include "models/explanation/pattern_trie.h"

namespace sae {

/// A row of a token stream and an activation that is predicted or true there, above 0.
struct RowActivation {
  int32_t row = 0;
  double activation = 0;
};

/// Where patterns predict a firing, rows ascending. Only rows at tokens on which a pattern ends are looked at.
std::vector<RowActivation> predict_stream(const PatternTrie& patterns, const TokenStream& stream);
/// Where a latent fires.
std::vector<RowActivation> true_firings(const LatentFirings& firings, int64_t latent);

struct Counts {
  int64_t both = 0;            ///< predicted and true
  int64_t predicted_only = 0;  ///< false alarms
  int64_t true_only = 0;       ///< misses

  int64_t predicted() const { return both + predicted_only; }
  int64_t truths() const { return both + true_only; }
  /// Share of predicted firings that are true; NaN where none was predicted.
  double precision() const;
  /// Share of true firings that were predicted; NaN where there was none.
  double recall() const;
  /// 2 both / (predicted + true): the harmonic mean of the two, 0 where nothing was predicted; NaN where nothing was
  /// there to predict either.
  double f1() const;
};
/// A row counts on either side where its activation is above `threshold`. Both ascending.
Counts count_matches(const std::vector<RowActivation>& predicted, const std::vector<RowActivation>& truth,
                     double threshold);

/// The baseline that knows no language model: a latent is predicted wherever the last n tokens stood before a firing in
/// the stream it was learnt from, with the largest activation seen there. n is 1 for a table of tokens.
class NgramLookup {
 public:
  NgramLookup(const TokenStream& learnt_from, const TokenStream& applied_to, int64_t n);
  /// `firings` number the rows of the stream learnt from. Rows ascending.
  std::vector<RowActivation> predict(const LatentFirings& firings, int64_t latent) const;

 private:
  std::vector<uint64_t> learnt_;                       // hash of the last n tokens of each row; 0: fewer than n
  std::vector<std::pair<uint64_t, int32_t>> applied_;  // hash, row; ascending
};

/// The baseline of an autoencoder that learnt nothing: fresh weights, the same options, b_pre kept.
Autoencoder random_autoencoder(const Autoencoder& like, uint64_t seed);
/// The baseline of the model's own channels: two latents for each channel of the normalised rows, its distance above
/// and below the channel's mean in standard deviations, of which the k largest are kept in each row.
Autoencoder channel_autoencoder(const ActivationStore& store, const RowSelection& selection, int64_t k, Device& device);

}  // namespace sae
