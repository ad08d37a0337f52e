#include "experiments/compare_activations/targets.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace sae {

std::vector<std::vector<double>> target_waves(std::vector<double> targets, double middle) {
  std::sort(targets.begin(), targets.end());
  const auto nearest = std::min_element(targets.begin(), targets.end(), [&](double a, double b) {
    return std::abs(std::log(a / middle)) < std::abs(std::log(b / middle));
  });
  if (nearest == targets.end()) return {};
  std::vector<std::vector<double>> waves = {{*nearest}};
  const std::ptrdiff_t below = nearest - targets.begin(), above = targets.end() - nearest - 1;
  for (std::ptrdiff_t distance = 1; distance <= std::max(below, above); ++distance) {
    std::vector<double>& wave = waves.emplace_back();
    if (distance <= below) wave.push_back(*(nearest - distance));
    if (distance <= above) wave.push_back(*(nearest + distance));
  }
  return waves;
}

}  // namespace sae
