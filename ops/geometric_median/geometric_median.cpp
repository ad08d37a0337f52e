#include "ops/geometric_median/geometric_median.h"

#include <cmath>
#include <vector>

#include "engine/error.h"
#include "engine/gradient.h"
#include "ops/geometric_median/geometric_median_cpu.h"
#include "ops/geometric_median/geometric_median_cuda.h"

namespace sae {
namespace {

constexpr std::string_view op = "geometric_median";

cpu::WeiszfeldSums sums_at(const Tensor& points, const std::vector<double>& y) {
  Device& device = points.device();
  return visit_real(op, points.dtype(), [&](auto zero) {
    const auto* x = points.data<decltype(zero)>();
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cpu::weiszfeld_sums(x, points.rows(), points.cols(), y);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), weiszfeld_sums, device, x, points.rows(), points.cols(), y);
    }
    refuse_device(op, device.kind());
  });
}

double length(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}

/// The next place. Where c points lie on y, the pull of the others, weight |T(y) - y|, must exceed c to move it.
std::vector<double> step(const std::vector<double>& y, const cpu::WeiszfeldSums& sums) {
  if (sums.weight == 0) return y;  // every point lies on y
  std::vector<double> next = sums.weighted;
  for (double& value : next) value /= sums.weight;
  if (sums.coinciding == 0) return next;
  const double pull = sums.weight * length(next, y);
  const double stay = pull == 0 ? 1.0 : std::min(1.0, static_cast<double>(sums.coinciding) / pull);
  for (size_t i = 0; i < next.size(); ++i) next[i] = (1 - stay) * next[i] + stay * y[i];
  return next;
}

}  // namespace

GeometricMedian geometric_median(const Tensor& points, GeometricMedianOptions options) {
  CHECK(points.rows() > 0, "{}: expected at least one point, got {}", op, points.describe());
  CHECK(options.tolerance >= 0 && options.max_iterations >= 1, "{}: tolerance {}, at most {} iterations", op,
        options.tolerance, options.max_iterations);
  visit_real(op, points.dtype(), [](auto) {});
  const double count = static_cast<double>(points.rows());
  std::vector<double> y = column_sum(points).to(Dtype::f64).to_vector<double>();
  for (double& value : y) value /= count;
  GeometricMedian result;
  cpu::WeiszfeldSums sums = sums_at(points, y);
  CHECK(std::isfinite(sums.distance), "{}: {} has values that are not finite", op, points.describe());
  while (result.iterations < options.max_iterations && !result.converged) {
    std::vector<double> next = step(y, sums);
    const double moved = length(next, y);
    y = std::move(next);
    sums = sums_at(points, y);
    ++result.iterations;
    result.converged = moved <= options.tolerance * sums.distance / count;
  }
  result.mean_distance = sums.distance / count;
  result.median = Tensor::from(points.device(), {points.cols()}, y).to(points.dtype());
  return result;
}

}  // namespace sae
