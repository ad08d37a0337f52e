#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor.h"
#include "experiments/harvest/contexts.h"

namespace sae {

/// The next token by the last one alone, from counts c in a text, with the frequencies of single tokens mixed in:
///   p(next | token) = (c(token, next) + m p(next)) / (c(token) + m),  p(next) = (c(next) + 1) / (tokens + vocabulary),
/// so that a token seen often is believed more. m, the pseudo-counts, is what smooth() chooses.
class BigramModel {
 public:
  /// Counts neighbours within contexts of `length` tokens: all of the source. Throws on ids outside the vocabulary.
  BigramModel(ContextSource& text, int64_t length, int64_t vocabulary);

  /// Chooses the pseudo-counts, a power of two from 1 to 4096, at which the text of `calibration` costs least: its
  /// first `contexts` contexts (0: all), from position `skip_positions` on.
  void smooth(ContextSource& calibration, int64_t contexts, int64_t skip_positions);

  double pseudo_counts() const { return pseudo_counts_; }
  int64_t tokens() const { return tokens_; }
  double probability(int32_t token, int32_t next) const { return mixed(parts_of(token, next), pseudo_counts_); }
  /// ln p(next | token) for each id and every next token: [ids, vocabulary], f32. Scores before a softmax, too.
  Tensor logits(std::span<const int32_t> ids, Device& device) const;

 private:
  struct Parts {
    double together = 0, alone = 0, frequency = 0;  // c(token, next), c(token), p(next)
  };
  Parts parts_of(int32_t token, int32_t next) const;
  static double mixed(const Parts& parts, double pseudo_counts) {
    return (parts.together + pseudo_counts * parts.frequency) / (parts.alone + pseudo_counts);
  }
  void check_ids(std::span<const int32_t> ids) const;
  double frequency(size_t token) const {
    return (counts_[token] + 1) / static_cast<double>(tokens_ + static_cast<int64_t>(counts_.size()));
  }

  int64_t length_ = 0, tokens_ = 0;
  double pseudo_counts_ = 1;
  std::vector<double> counts_;  // [vocabulary] c(next)
  std::vector<double> alone_;   // [vocabulary] c(token): times it has a next one
  std::vector<size_t> begins_;  // [vocabulary + 1] into the next two
  std::vector<int32_t> next_;   // ascending for each token
  std::vector<double> together_;
};

}  // namespace sae
