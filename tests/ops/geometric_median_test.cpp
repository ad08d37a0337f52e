#include "ops/geometric_median/geometric_median.h"

#include <limits>

#include "engine/parallel.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class GeometricMedianTest : public DeviceTest {
 protected:
  static double mean_distance(const std::vector<double>& points, const std::vector<double>& y) {
    double sum = 0;
    for (size_t row = 0; row < points.size() / y.size(); ++row) {
      double square = 0;
      for (size_t i = 0; i < y.size(); ++i) square += std::pow(points[row * y.size() + i] - y[i], 2);
      sum += std::sqrt(square);
    }
    return sum * static_cast<double>(y.size()) / static_cast<double>(points.size());
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, GeometricMedianTest, every_device, device_name);

TEST_P(GeometricMedianTest, ValuesByHand) {
  // A square's median is its centre.
  const GeometricMedian square = geometric_median(f64({4, 2}, {0, 0, 2, 0, 0, 2, 2, 2}));
  EXPECT_EQ(to_double(square.median), (std::vector<double>{1, 1}));
  EXPECT_DOUBLE_EQ(square.mean_distance, std::sqrt(2.0));
  EXPECT_TRUE(square.converged);
  EXPECT_EQ(square.median.shape(), Shape({2}));
  // One point; equal points.
  EXPECT_EQ(to_double(geometric_median(f32({1, 2}, {3, 4})).median), (std::vector<double>{3, 4}));
  EXPECT_EQ(geometric_median(f32({3, 1}, {5, 5, 5})).mean_distance, 0);
}

TEST_P(GeometricMedianTest, TheFermatPointOfATriangle) {
  // For a triangle with all angles below 120 degrees, the median sees each side under 120 degrees.
  const std::vector<double> points = {0, 0, 4, 0, 1, 3};
  const std::vector<double> m =
      to_double(geometric_median(f64({3, 2}, points), {.tolerance = 1e-13, .max_iterations = 10000}).median);
  const auto angle = [&](size_t a, size_t b) {
    const double ax = points[2 * a] - m[0], ay = points[2 * a + 1] - m[1];
    const double bx = points[2 * b] - m[0], by = points[2 * b + 1] - m[1];
    return (ax * bx + ay * by) / (std::hypot(ax, ay) * std::hypot(bx, by));
  };
  EXPECT_NEAR(angle(0, 1), -0.5, 1e-9);
  EXPECT_NEAR(angle(1, 2), -0.5, 1e-9);
}

TEST_P(GeometricMedianTest, AMajorityPointIsTheMedianAndOutliersHardlyMatter) {
  const Tensor points = f64({5, 1}, {0, 1, 1, 2, 1000});
  EXPECT_NEAR(to_double(geometric_median(points, {.tolerance = 1e-12, .max_iterations = 10000}).median)[0], 1, 1e-6);
  // The start, the mean, falls on a point that is not the median: it must be left.
  const std::vector<double> line = {0, 0, 0, 3, 12};  // mean 3
  EXPECT_NEAR(to_double(geometric_median(f64({5, 1}, line), {.tolerance = 1e-12, .max_iterations = 10000}).median)[0],
              0, 1e-6);
}

TEST_P(GeometricMedianTest, IsAMinimum) {
  for (const int64_t width : {1, 31, 33}) {
    const Tensor points = random_tensor(device_, {257, width}, Dtype::f64, 1);
    const GeometricMedian result = geometric_median(points, {.tolerance = 1e-12, .max_iterations = 2000});
    const std::vector<double> values = to_double(points), median = to_double(result.median);
    EXPECT_NEAR(result.mean_distance, mean_distance(values, median), 1e-12);
    for (size_t i = 0; i < median.size(); ++i) {
      for (const double change : {-0.01, 0.01}) {
        std::vector<double> moved = median;
        moved[i] += change;
        EXPECT_GE(mean_distance(values, moved), result.mean_distance - 1e-12);
      }
    }
  }
}

TEST_P(GeometricMedianTest, FloatPointsAgreeWithDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    if (rows == 0) continue;
    for (const int64_t width : edge_sizes) {
      const Tensor points = random_tensor(device_, {rows, width}, Dtype::f32, 1);
      const GeometricMedian a = geometric_median(points), b = geometric_median(points.to(Dtype::f64));
      EXPECT_EQ(a.median.dtype(), Dtype::f32);
      EXPECT_LT(worst_difference(to_double(a.median), to_double(b.median), 0.1), 1e-5);
    }
  }
}

TEST_P(GeometricMedianTest, SameBitsWithAnyNumberOfThreads) {
  const Tensor points = random_tensor(device_, {2000, 33}, Dtype::f32, 1);
  const int before = threads();
  set_threads(1);
  const GeometricMedian one = geometric_median(points);
  set_threads(3);
  const GeometricMedian three = geometric_median(points);
  set_threads(before);
  EXPECT_EQ(one.median.to_vector<float>(), three.median.to_vector<float>());
  EXPECT_EQ(one.mean_distance, three.mean_distance);
  EXPECT_EQ(one.iterations, three.iterations);
}

TEST_P(GeometricMedianTest, ParityAtEdgeSizes) {
  for_edge_shapes([&](int64_t rows, int64_t width) {
    if (rows == 0) return;
    expect_close(device_, 1e-9, [&](Device& device) {
      return std::vector<Value>{
          geometric_median(random_tensor(device, {rows, width}, Dtype::f64, 1), {.tolerance = 1e-12}).median};
    });
  });
}

TEST_P(GeometricMedianTest, SaysWhenItStoppedEarly) {
  const Tensor points = random_tensor(device_, {100, 3}, Dtype::f64, 1);
  const GeometricMedian result = geometric_median(points, {.tolerance = 0, .max_iterations = 2});
  EXPECT_FALSE(result.converged);
  EXPECT_EQ(result.iterations, 2);
}

TEST_P(GeometricMedianTest, Refusals) {
  EXPECT_REFUSED(geometric_median(f32({0, 3}, {})), "geometric_median: expected at least one point");
  EXPECT_REFUSED(geometric_median(f32({2, 1}, {1, std::numeric_limits<float>::quiet_NaN()})),
                 "geometric_median: f32 [2, 1] has values that are not finite");
  EXPECT_REFUSED(geometric_median(i32({1, 1}, {1})), "geometric_median: expected f32 or f64");
  EXPECT_REFUSED(geometric_median(f32({1, 1}, {1}), {.tolerance = -1}), "geometric_median: tolerance -1");
}

}  // namespace
}  // namespace sae
