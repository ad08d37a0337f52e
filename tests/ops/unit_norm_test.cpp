#include "ops/unit_norm/unit_norm.h"

#include <limits>

#include "ops/unit_norm/row_projection.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class UnitNorm : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, UnitNorm, every_device, device_name);

double dot_rows(const std::vector<double>& a, const std::vector<double>& b, int64_t row, int64_t width) {
  double sum = 0;
  for (int64_t i = row * width; i < (row + 1) * width; ++i)
    sum += a[static_cast<size_t>(i)] * b[static_cast<size_t>(i)];
  return sum;
}

TEST_P(UnitNorm, NormalisesByHand) {
  Parameter p("decoder", f32({3, 2}, {3, 4, 0, 0, 0, -2}));
  const int64_t version = p.version();
  normalise_rows(p);
  EXPECT_LT(worst_difference(to_double(p.value()), {0.6, 0.8, 0, 0, 0, -1}), 1e-7);
  EXPECT_GT(p.version(), version);
}

TEST_P(UnitNorm, ProjectsByHand) {
  const Tensor rows = f32({2, 2}, {1, 0, 0.6f, 0.8f}), gradient = f32({2, 2}, {5, 7, 3, 4});
  const std::vector<double> out = to_double(remove_parallel_component(gradient, rows));
  EXPECT_EQ(out[0], 0);
  EXPECT_EQ(out[1], 7);
  EXPECT_NEAR(out[2], 0, 1e-6);  // (3, 4) is parallel to (0.6, 0.8)
  EXPECT_NEAR(out[3], 0, 1e-6);
  EXPECT_EQ(gradient.to_vector<float>(), (std::vector<float>{5, 7, 3, 4}));
}

TEST(UnitNormRow, RowFormReturnsTheLengthItFound) {
  double row[3] = {2, 3, 6};
  EXPECT_EQ(normalise_row(row, 3), 7);
  EXPECT_DOUBLE_EQ(row[2], 6.0 / 7.0);
  double zero[2] = {0, 0};
  EXPECT_EQ(normalise_row(zero, 2), 0);
  EXPECT_EQ(zero[0], 0);
  double gradient[3] = {1, 1, 1};
  remove_parallel(gradient, row, 3);
  EXPECT_NEAR(gradient[0] * row[0] + gradient[1] * row[1] + gradient[2] * row[2], 0, 1e-15);
}

TEST_P(UnitNorm, ResultsAreUnitAndOrthogonalAtEdgeSizesAndFloatAgreesWithDouble) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t width : edge_sizes) {
      const Tensor start = random_tensor(device_, {rows, width}, Dtype::f32, 1);
      const Tensor gradient = random_tensor(device_, {rows, width}, Dtype::f32, 2);
      Parameter p("w", start.to(Dtype::f64).to(Dtype::f32)), p64("w", start.to(Dtype::f64));
      normalise_rows(p);
      normalise_rows(p64);
      EXPECT_LT(worst_difference(p.value(), p64.value()), 1e-6);
      const Tensor rest = remove_parallel_component(gradient, p.value());
      const Tensor rest64 = remove_parallel_component(gradient.to(Dtype::f64), p64.value());
      EXPECT_LT(worst_difference(to_double(rest), to_double(rest64), 1.0), 1e-6);
      const std::vector<double> w = to_double(p64.value()), r = to_double(rest64);
      for (int64_t row = 0; row < rows && width > 0; ++row) {
        EXPECT_NEAR(dot_rows(w, w, row, width), 1, 1e-14);
        EXPECT_NEAR(dot_rows(w, r, row, width), 0, 1e-13);
      }
    }
  }
}

TEST_P(UnitNorm, ParityAtEdgeSizes) {
  for_edge_shapes([&](int64_t rows, int64_t width) {
    expect_close(device_, 1e-6, [&](Device& device) {
      Parameter p("w", random_tensor(device, {rows, width}, Dtype::f32, 1));
      normalise_rows(p);
      return std::vector<Value>{
          p.value(), remove_parallel_component(random_tensor(device, {rows, width}, Dtype::f32, 2), p.value())};
    });
  });
}

TEST_P(UnitNorm, Refusals) {
  Parameter p("decoder", f32({2, 2}, {1, 2, std::numeric_limits<float>::infinity(), 1}));
  EXPECT_REFUSED(normalise_rows(p), "normalise_rows: row 1 of 'decoder'");
  EXPECT_EQ(p.value().to_vector<float>()[0], 1) << "nothing may have changed";
  Parameter integers("ids", i32({1, 1}, {1}));
  EXPECT_REFUSED(normalise_rows(integers), "normalise_rows: expected f32 or f64");
  EXPECT_REFUSED(remove_parallel_component(f32({1, 2}, {1, 2}), f32({2, 1}, {1, 2})), "remove_parallel_component");
  EXPECT_REFUSED(remove_parallel_component(f32({1, 2}, {1, 2}), f64({1, 2}, {1, 2})), "remove_parallel_component");
}

}  // namespace
}  // namespace sae
