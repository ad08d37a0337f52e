#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace sae {

/// One tuned setting's trials: learning rate to validation loss (its own training objective).
struct LearningRateTrials {
  std::map<double, double> loss;
  double best() const;
};

/// One trial to run: which contestant, at which rate.
struct LearningRateTrial {
  size_t contestant = 0;
  double learning_rate = 0;
};

/// Tries the same number of learning rates for every contestant: first the grid, then, as long as the best of any
/// contestant is at the edge of what it tried, one more step of the grid's ratio for all of them (each beyond its own
/// better edge), at most `most_extensions` times.
///   run(trials): the validation losses of short runs, which may share one stream of data. NaN or infinite counts as
///   worst.
std::vector<LearningRateTrials> search_learning_rates(
    size_t contestants, const std::vector<double>& grid, int most_extensions,
    const std::function<std::vector<double>(std::span<const LearningRateTrial>)>& run);

}  // namespace sae
