#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace sae {

/// One tuned setting's trials: learning rate to validation loss (its own training objective).
struct LearningRateTrials {
  std::map<double, double> loss;
  double best() const;
};

/// Tries the same number of learning rates for every contestant: first the grid, then, as long as the best of any
/// contestant is at the edge of what it tried, one more step of the grid's ratio for all of them (each beyond its own
/// better edge), at most `most_extensions` times.
///   run(contestant, learning_rate): the validation loss of a short run. NaN or infinite counts as worst.
std::vector<LearningRateTrials> search_learning_rates(
    size_t contestants, const std::vector<double>& grid, int most_extensions,
    const std::function<double(size_t contestant, double learning_rate)>& run);

}  // namespace sae
