#include "experiments/compare_activations/penalty_search.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace sae {
namespace {

/// An L0 below this is a dead autoencoder; its logarithm would lead the interpolation astray.
constexpr double least_l0 = 0.05;

double distance(double l0, double target) { return std::abs(std::log(std::max(l0, least_l0) / target)); }

/// The next weight to try for a target, from trials sorted by weight.
double guess(const std::vector<PenaltyTrial>& trials, double target, const PenaltySearchOptions& options) {
  if (trials.empty()) return options.first_guess;
  // The first trial below the target and its neighbour above it bracket the answer, if both exist.
  const auto below = std::find_if(trials.begin(), trials.end(), [&](const auto& t) { return t.l0 < target; });
  const auto clamp = [&](double penalty) { return std::clamp(penalty, options.least, options.most); };
  if (below == trials.begin())
    return clamp(trials.front().penalty / std::clamp(target / std::max(trials.front().l0, least_l0), 1.3, 4.0));
  if (below == trials.end()) return clamp(trials.back().penalty * std::clamp(trials.back().l0 / target, 1.3, 4.0));
  const PenaltyTrial& high = *(below - 1);
  const double x0 = std::log(high.penalty), x1 = std::log(below->penalty);
  const double y0 = std::log(high.l0), y1 = std::log(std::max(below->l0, least_l0));
  // Kept off the ends, so that a curve that is no power law cannot stall the search.
  const double part = std::clamp((y0 - std::log(target)) / (y0 - y1), 0.1, 0.9);
  return std::exp(x0 + part * (x1 - x0));
}

const PenaltyTrial& nearest(const std::vector<PenaltyTrial>& trials, double target) {
  return *std::min_element(trials.begin(), trials.end(), [&](const auto& a, const auto& b) {
    return distance(a.l0, target) < distance(b.l0, target);
  });
}

}  // namespace

std::vector<FoundPenalty> search_penalties(const std::vector<double>& targets, const PenaltySearchOptions& options,
                                           const std::function<double(double penalty)>& run) {
  std::vector<PenaltyTrial> trials;
  std::vector<FoundPenalty> found;
  for (const double target : targets) {
    CHECK(target > 0, "penalty search: a target L0 is {}, expected above 0", target);
    for (int trial = 0; trial < options.trials_for_each; ++trial) {
      if (!trials.empty() && distance(nearest(trials, target).l0, target) <= options.tolerance) break;
      const double penalty = guess(trials, target, options);
      trials.push_back({penalty, run(penalty)});
      std::sort(trials.begin(), trials.end(), [](const auto& a, const auto& b) { return a.penalty < b.penalty; });
    }
  }
  for (const double target : targets) {  // trials made for a later target may have come nearer
    const PenaltyTrial& best = nearest(trials, target);
    found.push_back({target, best.penalty, best.l0});
  }
  return found;
}

}  // namespace sae
