#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace sae {

/// How well one latent is explained. NaN where a share is not defined.
struct LatentPoint {
  double density = 0;
  double precision = 0, recall = 0, f1 = 0;
};

/// Means over latents, each metric over those for which it is defined.
struct Means {
  double precision = 0, recall = 0, f1 = 0;
};
using Estimator = std::function<Means(const std::vector<LatentPoint>&)>;

Means plain_means(const std::vector<LatentPoint>& points);
/// Weighted by density: of a random firing's latent.
Means density_weighted_means(const std::vector<LatentPoint>& points);
/// Those with low <= density < high.
std::vector<LatentPoint> within(const std::vector<LatentPoint>& points, double low, double high);
/// Density bins of about equal size over all points: bins + 1 edges, the last one infinite.
std::vector<double> density_edges(const std::vector<std::vector<LatentPoint>>& groups, int64_t bins);

/// The mean of the means in those density bins in which every group has at least `least` latents: latents compared
/// with their like.
class MatchedMeans {
 public:
  MatchedMeans(const std::vector<std::vector<LatentPoint>>& groups, std::vector<double> edges, int64_t least);
  Means operator()(const std::vector<LatentPoint>& points) const;
  int64_t bins() const { return static_cast<int64_t>(used_.size()); }

 private:
  std::vector<double> edges_;
  std::vector<size_t> used_;
};

/// An estimate with the bounds between which 95 of 100 resamplings lie.
struct Interval {
  double value = 0, low = 0, high = 0;
};
struct MeansInterval {
  Interval precision, recall, f1;
};
/// Bootstrap over latents: draws as many as there are, with replacement, `resamples` times.
MeansInterval bootstrap(const std::vector<LatentPoint>& points, const Estimator& estimate, int64_t resamples,
                        uint64_t seed);
/// The same of the estimates' ratio a / b; the latents of both are drawn independently.
MeansInterval bootstrap_ratio(const std::vector<LatentPoint>& a, const std::vector<LatentPoint>& b,
                              const Estimator& estimate, int64_t resamples, uint64_t seed);

}  // namespace sae
