#include "experiments/compare_activations/learning_rate_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/error.h"

namespace sae {

double error_at(double target_l0, double l0, double normalised_mse) {
  constexpr double front = 0.35, furthest = 4;
  return normalised_mse * std::pow(std::clamp(l0 / target_l0, 1 / furthest, furthest), front);
}

double LearningRateTrials::best() const {
  CHECK(!error.empty(), "learning rate search: no trial");
  return std::min_element(error.begin(), error.end(), [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

namespace {

bool at_edge(const LearningRateTrials& trials) {
  return trials.best() == trials.error.begin()->first || trials.best() == trials.error.rbegin()->first;
}

/// One step beyond the better of the two edges.
double beyond(const LearningRateTrials& trials, double ratio) {
  const bool upper = trials.error.rbegin()->second <= trials.error.begin()->second;
  return upper ? trials.error.rbegin()->first * ratio : trials.error.begin()->first / ratio;
}

}  // namespace

std::vector<LearningRateTrials> search_learning_rates(
    size_t contestants, const std::vector<double>& grid, int most_extensions,
    const std::function<std::vector<double>(std::span<const LearningRateTrial>)>& run) {
  CHECK(grid.size() >= 2 && std::is_sorted(grid.begin(), grid.end()) && grid.front() > 0,
        "learning rate search: the grid needs at least two ascending rates above 0");
  const double ratio = grid[1] / grid[0];
  std::vector<LearningRateTrials> all(contestants);
  const auto attempt = [&](const std::vector<LearningRateTrial>& round) {
    const std::vector<double> errors = run(round);
    for (size_t i = 0; i < round.size(); ++i) {
      all[round[i].contestant].error[round[i].learning_rate] =
          std::isfinite(errors[i]) ? errors[i] : std::numeric_limits<double>::infinity();
    }
  };
  std::vector<LearningRateTrial> round;
  for (size_t contestant = 0; contestant < contestants; ++contestant) {
    for (const double rate : grid) round.push_back({contestant, rate});
  }
  attempt(round);
  for (int extension = 0; extension < most_extensions; ++extension) {
    if (std::none_of(all.begin(), all.end(), at_edge)) break;
    round.clear();
    for (size_t contestant = 0; contestant < contestants; ++contestant) {
      round.push_back({contestant, beyond(all[contestant], ratio)});
    }
    attempt(round);
  }
  return all;
}

}  // namespace sae
