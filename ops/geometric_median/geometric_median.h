#pragma once

#include "engine/tensor.h"

namespace sae {

struct GeometricMedianOptions {
  /// Stops when a step moves by less than this part of the mean distance to the points.
  double tolerance = 1e-7;
  int max_iterations = 200;
};

struct GeometricMedian {
  Tensor median;             ///< [width], the dtype of the points
  double mean_distance = 0;  ///< from the points to the median: what it minimises
  int iterations = 0;
  bool converged = false;  ///< within max_iterations
};

/// The point with the least sum of distances to the rows of `points` [rows, width] (f32 or f64): where the pre-bias
/// starts (Gao et al. 2024). Unlike the mean it is hardly moved by a few far outliers.
/// Weiszfeld's iteration from the mean: y' = sum(x / |x - y|) / sum(1 / |x - y|), with the correction of Vardi and
/// Zhang (2000) where y falls on a point. Double throughout; sums in an order that does not depend on the number of
/// threads. Cost: one read of the points an iteration. Throws where there are no points, and on values that are not
/// finite. Not recorded on a tape.
GeometricMedian geometric_median(const Tensor& points, GeometricMedianOptions options = {});

}  // namespace sae
