#pragma once

#include <vector>

#include "engine/layout.h"

namespace sae {

/// Of each row of a batch, in double: |x - y|^2, |x - mean|^2, |x|^2, and the sum of its latents.
struct RowErrors {
  double error = 0, energy = 0, squares = 0, latents = 0;
};

/// What metrics count of reconstructions, in double, over any number of batches, on the device where they are: only a
/// few numbers of each row come to the host.
class ErrorSums {
 public:
  /// mean: [width], any dtype; what energies are measured about.
  explicit ErrorSums(const Tensor& mean);
  ErrorSums(ErrorSums&&) = default;  // a copy would add to the same sums
  ErrorSums& operator=(ErrorSums&&) = default;

  /// x, y: [rows, width], rows and their reconstructions, f32 or f64; latents: [rows, any], any layout, of that dtype.
  /// All on the device of the mean. Adds to the column sums, row after row, so that they do not depend on how rows were
  /// cut into batches. Throws where shapes, dtypes or devices do not belong together.
  std::vector<RowErrors> add(const Tensor& x, const Tensor& y, const Value& latents);

  /// [width]: the sums over all rows of x, and of x - y.
  std::vector<double> x_sum() const;
  std::vector<double> error_sum() const;

 private:
  Tensor mean_;  // f64 [width]
  Tensor sums_;  // f64 [2, width]: of x, of x - y; written in place
};

}  // namespace sae
