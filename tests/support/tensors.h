#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "engine/device.h"
#include "engine/error.h"
#include "engine/gradient.h"
#include "engine/layout.h"
#include "engine/parameter.h"
#include "engine/philox.h"

/// The statement throws sae::Error, and its text contains `text` (an op names itself in its errors).
#define EXPECT_REFUSED(statement, text) \
  EXPECT_THAT([&] { statement; }, ::testing::ThrowsMessage<::sae::Error>(::testing::HasSubstr(text)))

namespace sae::testing {

/// Row and column counts at which loops, blocks and registers begin and end; fewer, where a sanitizer makes them slow, by
/// SAE_TEST_EDGE_SIZES=1,33.
inline const std::vector<int64_t> edge_sizes = [] {
  const char* chosen = std::getenv("SAE_TEST_EDGE_SIZES");
  std::vector<int64_t> sizes;
  std::istringstream text(chosen == nullptr ? "0,1,31,32,33,257" : chosen);
  for (std::string size; std::getline(text, size, ',');) sizes.push_back(std::stoll(size));
  return sizes;
}();

/// Standard normal draws; equal seeds give equal values up to rounding in either dtype.
inline Tensor random_tensor(Device& device, Shape shape, Dtype dtype, uint64_t seed) {
  return normal_tensor(device, shape, dtype, Philox(seed, 0));
}

/// A parameter in double with standard normal values, for gradient checks; none is nearer to 0 than 0.001, so that a
/// step of the differences does not cross a kink there.
inline Parameter random_parameter(Device& device, std::string name, Shape shape, uint64_t seed) {
  std::vector<double> values = random_tensor(device, shape, Dtype::f64, seed).to_vector<double>();
  for (double& value : values) value += std::copysign(0.001, value);
  return Parameter(std::move(name), Tensor::from(device, shape, values));
}

/// Exactly k distinct columns in each row, not in order, with normal values. The columns depend on the seed alone.
inline RowSparse random_row_sparse(Device& device, int64_t rows, int64_t cols, int64_t k, Dtype dtype, uint64_t seed) {
  std::vector<int32_t> index;
  for (int64_t row = 0; row < rows; ++row) {
    const Permutation permutation(static_cast<uint64_t>(cols), seed, static_cast<uint64_t>(row));
    for (int64_t j = 0; j < k; ++j) index.push_back(static_cast<int32_t>(permutation(static_cast<uint64_t>(j))));
  }
  return {Columns(Tensor::from(device, {rows, k}, index)), random_tensor(device, {rows, k}, dtype, seed + 1), cols};
}

/// Each place is stored with the given probability, so rows differ in length and some are empty; normal values.
inline CompressedRows random_compressed(Device& device, int64_t rows, int64_t cols, Dtype dtype, uint64_t seed,
                                        float probability = 0.3f) {
  const Philox random(seed, 1);
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> index;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) {
      if (random.uniform(static_cast<uint64_t>(row * cols + col)) < probability)
        index.push_back(static_cast<int32_t>(col));
    }
    offsets.push_back(static_cast<int64_t>(index.size()));
  }
  const auto stored = static_cast<int64_t>(index.size());
  return {Tensor::from(device, {rows + 1}, offsets), Tensor::from(device, {stored}, index),
          random_tensor(device, {stored}, dtype, seed + 1), cols};
}

/// The elements in double, row-major.
inline std::vector<double> to_double(const Tensor& tensor) { return tensor.to(Dtype::f64).to_vector<double>(); }

/// The elements of any layout as a dense matrix in double, row-major; repeated columns add.
inline std::vector<double> dense_values(const Value& value) {
  DensifyCount ignored;
  return to_double(densify(value, ignored));
}

/// The same values in another dtype, pattern kept.
inline Value converted(const Value& value, Dtype dtype) {
  return with_stored_values(value, stored_values(value).to(dtype));
}

/// The largest difference, relative to the largest magnitude in `expected` (at least `floor`). Infinity if the sizes
/// differ or where a value is not a number.
inline double worst_difference(const std::vector<double>& actual, const std::vector<double>& expected,
                               double floor = 1e-30) {
  if (actual.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double worst = 0, scale = floor;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double difference = std::abs(actual[i] - expected[i]);
    if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, difference);
    scale = std::max(scale, std::abs(expected[i]));
  }
  return worst / scale;
}
inline double worst_difference(const Value& actual, const Value& expected) {
  return worst_difference(dense_values(actual), dense_values(expected));
}

/// A fresh cpu device for each test.
class CpuTest : public ::testing::Test {
 protected:
  std::unique_ptr<Device> owned_ = Device::open(DeviceKind::cpu);
  Device& device_ = *owned_;

  Tensor f32(Shape shape, const std::vector<float>& values) { return Tensor::from(device_, shape, values); }
  Tensor f64(Shape shape, const std::vector<double>& values) { return Tensor::from(device_, shape, values); }
  Tensor i32(Shape shape, const std::vector<int32_t>& values) { return Tensor::from(device_, shape, values); }
  Tensor i64(Shape shape, const std::vector<int64_t>& values) { return Tensor::from(device_, shape, values); }
};

}  // namespace sae::testing
