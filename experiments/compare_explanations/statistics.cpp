#include "experiments/compare_explanations/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/error.h"
#include "engine/philox.h"

namespace sae {
namespace {

constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

double weighted_mean(const std::vector<LatentPoint>& points, double LatentPoint::*metric, bool by_density) {
  double sum = 0, weights = 0;
  for (const LatentPoint& point : points) {
    if (std::isnan(point.*metric)) continue;
    const double weight = by_density ? point.density : 1;
    sum += weight * (point.*metric);
    weights += weight;
  }
  return weights > 0 ? sum / weights : undefined;
}

Means all_means(const std::vector<LatentPoint>& points, bool by_density) {
  return {weighted_mean(points, &LatentPoint::precision, by_density),
          weighted_mean(points, &LatentPoint::recall, by_density), weighted_mean(points, &LatentPoint::f1, by_density)};
}

/// Draw number `draw` of as many points, with replacement.
std::vector<LatentPoint> resample(const std::vector<LatentPoint>& points, const Philox& random, uint64_t draw) {
  std::vector<LatentPoint> drawn;
  for (size_t i = 0; i < points.size(); ++i) {
    drawn.push_back(points[random.below(draw * points.size() + i, points.size())]);
  }
  return drawn;
}

Interval interval(double value, std::vector<double> draws) {
  std::erase_if(draws, [](double draw) { return std::isnan(draw); });
  if (draws.empty()) return {value, undefined, undefined};
  std::sort(draws.begin(), draws.end());
  const auto at = [&](double share) {
    return draws[static_cast<size_t>(std::lround(share * static_cast<double>(draws.size() - 1)))];
  };
  return {value, at(0.025), at(0.975)};
}

MeansInterval intervals(const Means& value, const std::vector<Means>& draws) {
  const auto of = [&](double Means::*metric) {
    std::vector<double> values;
    for (const Means& draw : draws) values.push_back(draw.*metric);
    return interval(value.*metric, std::move(values));
  };
  return {of(&Means::precision), of(&Means::recall), of(&Means::f1)};
}

Means quotient(const Means& a, const Means& b) { return {a.precision / b.precision, a.recall / b.recall, a.f1 / b.f1}; }

}  // namespace

Means plain_means(const std::vector<LatentPoint>& points) { return all_means(points, false); }
Means density_weighted_means(const std::vector<LatentPoint>& points) { return all_means(points, true); }

std::vector<LatentPoint> within(const std::vector<LatentPoint>& points, double low, double high) {
  std::vector<LatentPoint> some;
  std::copy_if(points.begin(), points.end(), std::back_inserter(some),
               [&](const LatentPoint& point) { return low <= point.density && point.density < high; });
  return some;
}

std::vector<double> density_edges(const std::vector<std::vector<LatentPoint>>& groups, int64_t bins) {
  std::vector<double> densities;
  for (const auto& group : groups) {
    for (const LatentPoint& point : group) densities.push_back(point.density);
  }
  CHECK(!densities.empty() && bins > 0, "density bins: {} bins of {} latents", bins, densities.size());
  std::sort(densities.begin(), densities.end());
  std::vector<double> edges;
  for (int64_t bin = 0; bin < bins; ++bin) {
    edges.push_back(densities[static_cast<size_t>(bin) * densities.size() / static_cast<size_t>(bins)]);
  }
  edges.push_back(std::numeric_limits<double>::infinity());
  return edges;
}

MatchedMeans::MatchedMeans(const std::vector<std::vector<LatentPoint>>& groups, std::vector<double> edges,
                           int64_t least)
    : edges_(std::move(edges)) {
  for (size_t bin = 0; bin + 1 < edges_.size(); ++bin) {
    const bool in_all = std::all_of(groups.begin(), groups.end(), [&](const auto& group) {
      return static_cast<int64_t>(within(group, edges_[bin], edges_[bin + 1]).size()) >= least;
    });
    if (in_all) used_.push_back(bin);
  }
}

Means MatchedMeans::operator()(const std::vector<LatentPoint>& points) const {
  // a bin's mean counts as one latent's
  std::vector<LatentPoint> bins;
  for (const size_t bin : used_) {
    const Means means = plain_means(within(points, edges_[bin], edges_[bin + 1]));
    bins.push_back({1, means.precision, means.recall, means.f1});
  }
  return plain_means(bins);
}

MeansInterval bootstrap(const std::vector<LatentPoint>& points, const Estimator& estimate, int64_t resamples,
                        uint64_t seed) {
  const Philox random(seed, 41);
  std::vector<Means> draws;
  for (int64_t draw = 0; draw < resamples; ++draw) {
    draws.push_back(estimate(resample(points, random, static_cast<uint64_t>(draw))));
  }
  return intervals(estimate(points), draws);
}

MeansInterval bootstrap_ratio(const std::vector<LatentPoint>& a, const std::vector<LatentPoint>& b,
                              const Estimator& estimate, int64_t resamples, uint64_t seed) {
  const Philox random_a(seed, 42), random_b(seed, 43);
  std::vector<Means> draws;
  for (int64_t i = 0; i < resamples; ++i) {
    const auto draw = static_cast<uint64_t>(i);
    draws.push_back(quotient(estimate(resample(a, random_a, draw)), estimate(resample(b, random_b, draw))));
  }
  return intervals(quotient(estimate(a), estimate(b)), draws);
}

}  // namespace sae
