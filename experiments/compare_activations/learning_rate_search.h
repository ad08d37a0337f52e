#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace sae {

/// The error of a run that ended at l0, moved along a front of error over L0 to the sparsity that is compared: what
/// learning rates are chosen by. Under a penalty the rate also moves L0, so neither error nor training objective alone
/// tells which rate gives the better front. Fronts here fall as L0^-0.35 (between k 8 and 128, of topk and of relu); an
/// L0 more than four times off counts as four times off.
double error_at(double target_l0, double l0, double normalised_mse);

/// One tuned setting's trials: learning rate to validation error at the same L0 (error_at).
struct LearningRateTrials {
  std::map<double, double> error;
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
///   run(trials): the validation errors of runs, which may share one stream of data. NaN or infinite counts as
///   worst.
std::vector<LearningRateTrials> search_learning_rates(
    size_t contestants, const std::vector<double>& grid, int most_extensions,
    const std::function<std::vector<double>(std::span<const LearningRateTrial>)>& run);

}  // namespace sae
