#include "experiments/compare_activations/penalty_search.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/error.h"

namespace sae {
namespace {

/// The logarithm of a dead autoencoder's L0 would lead the interpolation astray.
constexpr double least_l0 = 0.05;

}  // namespace

double log_distance(double l0, double target) { return std::abs(std::log(std::max(l0, least_l0) / target)); }

double next_penalty(std::span<const PenaltyTrial> trials, double target_l0, const PenaltySearchOptions& options) {
  if (trials.empty()) return options.first_guess;
  const auto clamp = [&](double penalty) { return std::clamp(penalty, options.least, options.most); };
  const auto step = [&](double ratio) { return std::clamp(ratio, 1.3, 4.0); };
  // The first trial below the target and its neighbour above it bracket the answer, if both exist.
  const auto below = std::find_if(trials.begin(), trials.end(), [&](const auto& t) { return t.l0 < target_l0; });
  if (below == trials.begin()) return clamp(below->penalty / step(target_l0 / std::max(below->l0, least_l0)));
  const PenaltyTrial& above = *(below - 1);
  if (below == trials.end()) return clamp(above.penalty * step(above.l0 / target_l0));
  const double x0 = std::log(above.penalty), x1 = std::log(below->penalty);
  const double y0 = std::log(above.l0), y1 = std::log(std::max(below->l0, least_l0));
  // Kept off the ends, so that a curve that is no power law cannot stall the search.
  const double part = std::clamp((y0 - std::log(target_l0)) / (y0 - y1), 0.1, 0.9);
  return std::exp(x0 + part * (x1 - x0));
}

const PenaltyTrial& PenaltySearch::nearest(double target_l0) const {
  return *std::min_element(trials_.begin(), trials_.end(), [&](const auto& a, const auto& b) {
    return log_distance(a.l0, target_l0) < log_distance(b.l0, target_l0);
  });
}

bool PenaltySearch::found(double target_l0) const {
  return !trials_.empty() && log_distance(nearest(target_l0).l0, target_l0) <= options_.tolerance;
}

std::vector<PenaltyTrial> PenaltySearch::find(std::span<const double> targets) {
  for (const double target : targets) {
    CHECK(target > 0, "penalty search: the target L0 is {}, expected above 0", target);
  }
  for (int round = 0; round < options_.trials_for_each; ++round) {
    std::set<double> penalties;  // two targets may ask for one weight, above all in the first round
    for (const double target : targets) {
      if (!found(target)) penalties.insert(next_penalty(trials_, target, options_));
    }
    if (penalties.empty()) break;
    const std::vector<double> weights(penalties.begin(), penalties.end());
    const std::vector<double> l0 = run_(weights);
    for (size_t i = 0; i < weights.size(); ++i) trials_.push_back({weights[i], l0[i]});
    std::sort(trials_.begin(), trials_.end(), [](const auto& a, const auto& b) { return a.penalty < b.penalty; });
  }
  std::vector<PenaltyTrial> best;
  for (const double target : targets) best.push_back(nearest(target));
  return best;
}

}  // namespace sae
