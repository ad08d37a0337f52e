#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sae {

/// Finds the L1 weights at which short runs reach given sparsities. L0 falls as the weight rises, about as a power law
/// over short ranges, so each guess interpolates log L0 over log weight between the nearest trials (a bisection that
/// uses the values), and all targets share all trials.
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

struct FoundPenalty {
  double target_l0 = 0;
  double penalty = 0;
  double trial_l0 = 0;  ///< what the nearest trial reached
};

/// run: trains a short run with that weight and returns the L0 it reaches on validation data. Targets are looked for in
/// the given order; the results are in that order too.
std::vector<FoundPenalty> search_penalties(const std::vector<double>& targets, const PenaltySearchOptions& options,
                                           const std::function<double(double penalty)>& run);

}  // namespace sae
