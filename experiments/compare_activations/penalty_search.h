#pragma once

#include <functional>
#include <span>
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

/// |log(l0 / target)|; an L0 below 0.05, that of a dead autoencoder, counts as 0.05.
double log_distance(double l0, double target);

/// The next weight to try for a sparsity: between the two of `trials` (ascending weights) that bracket it, interpolated
/// as a power law; beyond them by the power -1, at most four times further; the first guess where there are none.
double next_penalty(std::span<const PenaltyTrial> trials, double target_l0, const PenaltySearchOptions& options);

/// Finds the L1 weights at which short runs reach given sparsities. L0 falls as the weight rises, about as a power law
/// over short ranges, so each guess interpolates log L0 over log weight between the nearest trials (a bisection that
/// uses the values), and all targets share all trials.
class PenaltySearch {
 public:
  /// run: trains a short run with each weight and returns the L0 that each reaches on validation data.
  using Run = std::function<std::vector<double>(std::span<const double> penalties)>;
  PenaltySearch(const PenaltySearchOptions& options, Run run) : options_(options), run_(std::move(run)) {}

  /// The trial nearest to each target, after as many further trials as it takes and the options allow. Each round tries
  /// one weight for every target that is not found yet, together, so that the runs can share one stream of data.
  std::vector<PenaltyTrial> find(std::span<const double> target_l0);

 private:
  bool found(double target_l0) const;
  const PenaltyTrial& nearest(double target_l0) const;

  PenaltySearchOptions options_;
  Run run_;
  std::vector<PenaltyTrial> trials_;  // by weight
};

}  // namespace sae
