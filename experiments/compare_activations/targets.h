#pragma once

#include <map>
#include <span>
#include <vector>

namespace sae {

/// The targets in the order of their runs: the one nearest to `middle` (on a logarithmic scale) first, then one above
/// and one below at a time. The curve is there early, its ends last, and each wave has neighbours from which to aim.
std::vector<std::vector<double>> target_waves(std::vector<double> targets, double middle);

/// What the penalty trials aim at so that whole runs end at `targets`. L0 goes on falling after a trial's part of the
/// tokens, the more the denser it is; by how much shows in whole runs: drifts, by target, their L0 over their trial's.
/// A trial aims higher by what the run of the nearest target lost.
std::vector<double> trial_aims(const std::map<double, double>& drifts, std::span<const double> targets);

}  // namespace sae
