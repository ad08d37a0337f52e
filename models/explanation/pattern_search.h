#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/explanation/pattern_trie.h"

namespace sae {

/// What a search for patterns may vary. The shares are those of Gao et al.'s released code.
struct SearchOptions {
  ExplanationMode mode = ExplanationMode::fixed;
  int32_t pad = 0;              ///< takes the place of tokens: an ordinary token of little content
  std::vector<int32_t> prefix;  ///< stands before every query: where position 0 is an attention sink, one separator
  double kept_by_suffix = 0.5;  ///< of the example's activation, for a suffix to stand for the whole
  double kept_after_pad = 0.5;  ///< of the example's activation, for a pattern not to be bound to the start
  double wildcard_importance = 0.5;  ///< tokens less important than this become wildcards
};

/// A text that ends where a latent fired.
struct Example {
  std::vector<int32_t> tokens;  ///< of its context, up to the firing
  double activation = 0;        ///< there, above 0
};

/// Finds the pattern of one example by asking for the latent's activation at the end of changed texts: an algorithm
/// that hands out queries and takes answers, so that those of many examples can be run through a language model
/// together.
///
///  1. Suffix: the shortest tail of the example after which the latent keeps `kept_by_suffix`; tails are tried by
///     length, one a round. Where none does, the whole example stands, with the activation it had.
///  2. Start: with a pad before the suffix, does the latent keep `kept_after_pad`? If not, the pattern holds only at
///     the start of a context. `reference` asks for this share of the example's activation; `fixed` for that of the
///     suffix's, because the shortest suffix often has little more than half of the example's left, and any pad would
///     bind it to the start.
///  3. Importance: 1 - (activation with this token replaced by the pad) / (activation of the suffix), each by itself.
///  4. (`fixed`) Together: two or more wildcards, all replaced, must keep 1 - wildcard_importance of the suffix's
///     activation; otherwise the most important of them become tokens again, as few as will do (found by doubling, then
///     bisection).
class PatternSearch {
 public:
  /// Throws on an example without tokens or activation. Keeps a reference to `options`.
  PatternSearch(Example example, const SearchOptions& options);

  /// The texts to be run now, prefix included; empty when the pattern is found.
  const std::vector<std::vector<int32_t>>& queries() const { return queries_; }
  /// The latent's activations at the ends of queries(), in their order.
  void answer(std::span<const float> activations);
  bool is_done() const { return step_ == Step::done; }
  /// Of an answered search.
  const TokenPattern& pattern() const { return pattern_; }
  /// In all the queries so far.
  int64_t tokens_asked() const { return tokens_asked_; }

 private:
  enum class Step { suffix, parts, together, done };

  void ask(std::vector<std::vector<int32_t>> texts);
  void ask_suffix();
  void take_suffix(size_t begin, double activation);
  void take_parts(std::span<const float> activations);
  void take_together(double activation);
  void ask_together();
  std::vector<int32_t> suffix_with(std::span<const size_t> replaced) const;

  const SearchOptions* options_;
  Example example_;
  Step step_ = Step::suffix;
  size_t begin_ = 0;  // of the suffix under test, then of the one that was found
  double suffix_activation_ = 0;
  std::vector<size_t> wildcards_;  // places in the suffix, least important first
  // How many of them, from the end, are tokens again: too few, enough, and under test.
  int64_t too_few_ = -1, enough_ = 0, restored_ = 0;
  TokenPattern pattern_;
  std::vector<std::vector<int32_t>> queries_;
  int64_t tokens_asked_ = 0;
};

}  // namespace sae
