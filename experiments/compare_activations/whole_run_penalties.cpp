#include "experiments/compare_activations/whole_run_penalties.h"

#include <algorithm>

#include "engine/error.h"

namespace sae {
namespace {

/// A run that ends within this of its target is near enough.
constexpr double most_miss = 0.2;
constexpr double most_drift = 5;

}  // namespace

void WholeRunPenalties::remember(double target, double penalty, double trial_l0, double l0) {
  std::erase_if(runs_, [&](const PenaltyTrial& run) { return run.penalty == penalty; });
  runs_.insert(std::find_if(runs_.begin(), runs_.end(), [&](const auto& run) { return run.penalty > penalty; }),
               {penalty, l0});
  if (trial_l0 > 0) drifts_[target] = std::clamp(l0 / trial_l0, 1 / most_drift, most_drift);
}

std::vector<double> WholeRunPenalties::trial_aims(std::span<const double> targets) const {
  std::vector<double> aims;
  for (const double target : targets) {
    const auto nearest = std::min_element(drifts_.begin(), drifts_.end(), [&](const auto& a, const auto& b) {
      return log_distance(a.first, target) < log_distance(b.first, target);
    });
    aims.push_back(nearest == drifts_.end() ? target : target / nearest->second);
  }
  return aims;
}

std::optional<double> WholeRunPenalties::correction(double target, double last_penalty, bool may_try) const {
  const auto nearest = std::min_element(runs_.begin(), runs_.end(), [&](const auto& a, const auto& b) {
    return log_distance(a.l0, target) < log_distance(b.l0, target);
  });
  CHECK(nearest != runs_.end(), "penalty for L0 {}: no whole run to correct", target);
  const bool again = may_try && log_distance(nearest->l0, target) > most_miss;
  const double penalty = again ? next_penalty(runs_, target, {}) : nearest->penalty;
  if (penalty == last_penalty) return std::nullopt;
  return penalty;
}

}  // namespace sae
