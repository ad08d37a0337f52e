#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "experiments/common/activation_data.h"

namespace sae {

/// The dense baseline of the plot: the normalised MSE on `test` when each row is the training mean plus its projection
/// on the first c principal components of the training rows, for every c in `components` (1 to the width). Covariances
/// are summed in double, over at most the first 131,072 training rows in their shuffled order and all test rows.
/// mean: [width], that of the training rows. Cost: rows width^2.
std::vector<double> principal_component_errors(const SplitRows& train, const SplitRows& test, const Tensor& mean,
                                               std::span<const int64_t> components);

}  // namespace sae
