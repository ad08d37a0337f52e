#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sae {

/// ZCA whitening: x becomes U diag(1 / sqrt(s_i + epsilon)) U^T (x - mean), with U the eigenvectors and s_i the
/// eigenvalues of the rows' covariance: of all linear maps that make the covariance the identity, that which moves a
/// row least, so that it still looks like the patch it was (Bell and Sejnowski 1997). epsilon tempers it where the data
/// have little variance: there natural images hold mostly noise.
class Whitening {
 public:
  /// rows: [count, width]. epsilon is in units of the mean eigenvalue. Throws where there are fewer than two rows,
  /// where none differs from another, and on epsilon below 0; 0 leaves a direction without variance at 0.
  static Whitening fit(std::span<const float> rows, int64_t width, double epsilon);

  /// In place; rows: [count, width].
  void apply(std::span<float> rows) const;
  /// The covariance's eigenvalues, ascending.
  const std::vector<double>& spectrum() const { return spectrum_; }

 private:
  int64_t width_ = 0;
  std::vector<double> spectrum_;
  std::vector<float> mean_;    // [width]
  std::vector<float> matrix_;  // [width, width], symmetric
};

}  // namespace sae
