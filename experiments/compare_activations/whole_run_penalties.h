#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "experiments/compare_activations/penalty_search.h"

namespace sae {

/// What whole runs say about the penalties of one activation. Trials train on a part of the tokens, and L0 goes on
/// falling after it, by how much depends on the activation and on the sparsity.
class WholeRunPenalties {
 public:
  /// A whole run with `penalty` for `target` ended at `l0`; `trial_l0` is where the trial ended that chose the penalty,
  /// 0 where none did.
  void remember(double target, double penalty, double trial_l0, double l0);

  /// What trials aim at so that whole runs end at `targets`: higher by what the whole run of the nearest target lost
  /// after its trial (at most fivefold).
  std::vector<double> trial_aims(std::span<const double> targets) const;

  /// Another penalty than that of the last run for a target: between the whole runs where none of them ended within a
  /// fifth of the target and `may_try`, else that of the run that came nearest. None where that is the last run's.
  std::optional<double> correction(double target, double last_penalty, bool may_try) const;

 private:
  std::vector<PenaltyTrial> runs_;   // by penalty
  std::map<double, double> drifts_;  // by target: L0 of the whole run over its trial's
};

}  // namespace sae
