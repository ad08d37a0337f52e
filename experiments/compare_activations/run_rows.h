#pragma once

#include <vector>

#include "experiments/common/training_run.h"
#include "experiments/compare_activations/results.h"

namespace sae {

/// The rows of results.csv that a whole run for this target gives: at a half and at all of its tokens. Says the last
/// one on the screen.
std::vector<ResultRow> rows_of(const RunPlan& whole, double target, const RunResult& result);

}  // namespace sae
