#include "experiments/image_patches/whitening.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace sae {
namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr int64_t batch = 4096;

}  // namespace

Whitening Whitening::fit(std::span<const float> rows, int64_t width, double epsilon) {
  CHECK(width >= 1 && static_cast<int64_t>(rows.size()) % width == 0, "whitening: {} values are no rows of width {}",
        rows.size(), width);
  const int64_t count = static_cast<int64_t>(rows.size()) / width;
  CHECK(count >= 2, "whitening: {} rows, expected at least 2", count);
  CHECK(std::isfinite(epsilon) && epsilon >= 0, "whitening: epsilon is {}, expected 0 or more", epsilon);
  const Eigen::Map<const RowMajor> all(rows.data(), count, width);
  Eigen::RowVectorXd mean = Eigen::RowVectorXd::Zero(width);
  Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(width, width);
  for (int64_t begin = 0; begin < count; begin += batch) {
    mean += all.middleRows(begin, std::min(batch, count - begin)).cast<double>().colwise().sum();
  }
  mean /= static_cast<double>(count);
  for (int64_t begin = 0; begin < count; begin += batch) {
    const Eigen::MatrixXd centred =
        all.middleRows(begin, std::min(batch, count - begin)).cast<double>().rowwise() - mean;
    covariance.selfadjointView<Eigen::Lower>().rankUpdate(centred.transpose());
  }
  covariance /= static_cast<double>(count);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  const Eigen::VectorXd eigenvalues = solver.eigenvalues().cwiseMax(0.0);
  CHECK(eigenvalues.sum() > 0, "whitening: all rows are the same");
  const double added = epsilon * eigenvalues.mean();
  // What lies below this is the rounding of a direction without variance.
  const double nothing = 1e-12 * eigenvalues.maxCoeff();
  const Eigen::VectorXd scales =
      eigenvalues.unaryExpr([&](double s) { return s > nothing ? 1 / std::sqrt(s + added) : 0.0; });
  const RowMajor matrix =
      (solver.eigenvectors() * scales.asDiagonal() * solver.eigenvectors().transpose()).cast<float>();
  Whitening whitening;
  whitening.width_ = width;
  whitening.spectrum_.assign(eigenvalues.begin(), eigenvalues.end());
  const Eigen::RowVectorXf centre = mean.cast<float>();
  whitening.mean_.assign(centre.begin(), centre.end());
  whitening.matrix_.assign(matrix.data(), matrix.data() + matrix.size());
  return whitening;
}

void Whitening::apply(std::span<float> rows) const {
  CHECK(static_cast<int64_t>(rows.size()) % width_ == 0, "whitening: {} values are no rows of width {}", rows.size(),
        width_);
  const int64_t count = static_cast<int64_t>(rows.size()) / width_;
  Eigen::Map<RowMajor> all(rows.data(), count, width_);
  const Eigen::Map<const RowMajor> matrix(matrix_.data(), width_, width_);
  const Eigen::Map<const Eigen::RowVectorXf> mean(mean_.data(), width_);
  for (int64_t begin = 0; begin < count; begin += batch) {
    auto part = all.middleRows(begin, std::min(batch, count - begin));
    const RowMajor centred = part.rowwise() - mean;
    part.noalias() = centred * matrix;
  }
}

}  // namespace sae
