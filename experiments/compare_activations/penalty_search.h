#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace sae {

struct PenaltySearchOptions {
  double first_guess = 0.1;
  double tolerance = 0.1;   ///< |log(L0 / target)| that counts as found
  int trials_for_each = 4;  ///< at most, beyond what earlier targets tried
  double least = 1e-6, most = 1e3;
};

struct PenaltyTrial {
  double penalty = 0;
  double l0 = 0;
};

/// Finds the L1 weights at which short runs reach given sparsities. L0 falls as the weight rises, about as a power law
/// over short ranges, so each guess interpolates log L0 over log weight between the nearest trials (a bisection that
/// uses the values), and all targets share all trials.
class PenaltySearch {
 public:
  /// run: trains a short run with that weight and returns the L0 it reaches on validation data.
  PenaltySearch(const PenaltySearchOptions& options, std::function<double(double penalty)> run)
      : options_(options), run_(std::move(run)) {}

  /// The trial nearest to the target, after as many further trials as it takes and the options allow.
  PenaltyTrial find(double target_l0);

 private:
  double guess(double target_l0) const;
  const PenaltyTrial& nearest(double target_l0) const;

  PenaltySearchOptions options_;
  std::function<double(double)> run_;
  std::vector<PenaltyTrial> trials_;  // by weight
};

}  // namespace sae
