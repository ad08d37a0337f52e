#pragma once

#include <vector>

namespace sae {

/// The targets in the order of their runs: the one nearest to `middle` (on a logarithmic scale) first, then one above
/// and one below at a time. The curve is there early, its ends last, and each wave has neighbours from which to aim.
std::vector<std::vector<double>> target_waves(std::vector<double> targets, double middle);

}  // namespace sae
