#pragma once

#include "ops/matmul/matmul.h"
#include "tests/support/devices.h"

namespace sae::testing {

/// What the tests of products share. Base: DeviceTest or CpuTest.
template <class Base>
class MatmulTest : public Base {
 protected:
  /// op(a) op(b) by three plain loops in double.
  static std::vector<double> naive(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
    const std::vector<double> x = to_double(a), w = to_double(b);
    const int64_t rows = transpose_a ? a.cols() : a.rows(), inner = transpose_a ? a.rows() : a.cols();
    const int64_t cols = transpose_b ? b.rows() : b.cols();
    std::vector<double> y(static_cast<size_t>(rows * cols), 0.0);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t col = 0; col < cols; ++col) {
        double& sum = y[static_cast<size_t>(row * cols + col)];
        for (int64_t i = 0; i < inner; ++i) {
          sum += x[static_cast<size_t>(transpose_a ? i * rows + row : row * inner + i)] *
                 w[static_cast<size_t>(transpose_b ? col * inner + i : i * cols + col)];
        }
      }
    }
    return y;
  }
  /// The elements in double of a value, as a tensor.
  Tensor dense64(const Value& value) {
    return Tensor::from(this->device_, {rows_of(value), cols_of(value)}, dense_values(value));
  }
  Tensor random(Shape shape, uint64_t seed, Dtype dtype = Dtype::f32) {
    return random_tensor(this->device_, shape, dtype, seed);
  }
  std::vector<double> gradient_of(const Parameter& p) {
    return to_double(materialize(p.gradient, this->device_, p.value().shape(), p.value().dtype()));
  }
};

}  // namespace sae::testing
