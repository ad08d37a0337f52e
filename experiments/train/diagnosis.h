#pragma once

#include <string>
#include <vector>

#include "experiments/common/training_run.h"

namespace sae {

/// What a finished run says of its options, a sentence each: is it still moving, is the penalty right, are latents dead
/// and why, do jumprelu's thresholds respond; and which option to change. Empty: nothing to complain of.
std::vector<std::string> diagnosis(const RunPlan& plan, const RunResult& result, const Autoencoder& autoencoder);

}  // namespace sae
