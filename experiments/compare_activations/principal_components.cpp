#include "experiments/compare_activations/principal_components.h"

#include <Eigen/Dense>
#include <algorithm>

#include "engine/error.h"

namespace sae {
namespace {

constexpr int64_t most_training_rows = 131072;
constexpr int64_t batch = 4096;

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Adds (x - mean)^T (x - mean) to the lower triangle of `sum`.
void add_products(Eigen::MatrixXd& sum, const Tensor& x, const Eigen::RowVectorXd& mean) {
  const std::vector<float> values = x.to_vector<float>();
  const Eigen::Map<const RowMajor> rows(values.data(), x.rows(), x.cols());
  const Eigen::MatrixXd centred = rows.cast<double>().rowwise() - mean;
  sum.selfadjointView<Eigen::Lower>().rankUpdate(centred.transpose());
}

}  // namespace

std::vector<double> principal_component_errors(const SplitRows& train, const SplitRows& test, const Tensor& mean,
                                               std::span<const int64_t> components) {
  const int64_t width = train.width();
  CHECK(test.rows() > 0, "the test split has no rows");
  for (const int64_t count : components) {
    CHECK(count >= 1 && count <= width, "expected 1 to {} principal components, got {}", width, count);
  }
  const std::vector<float> means = mean.to_vector<float>();
  const Eigen::RowVectorXd centre = Eigen::Map<const Eigen::RowVectorXf>(means.data(), width).cast<double>();
  Eigen::MatrixXd train_products = Eigen::MatrixXd::Zero(width, width), test_products = train_products;
  const auto batches = train.batches(/*seed=*/0, 0, std::min(batch, train.rows()), /*shuffle=*/true);
  for (int64_t rows = 0; rows < std::min(most_training_rows, train.rows()); rows += batch) {
    add_products(train_products, batches->next(), centre);
  }
  for (int64_t begin = 0; begin < test.rows(); begin += batch) {
    add_products(test_products, test.host_range(begin, std::min(test.rows(), begin + batch)), centre);
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(train_products);  // eigenvalues ascend
  const Eigen::MatrixXd& directions = solver.eigenvectors();
  const Eigen::MatrixXd projected = test_products.selfadjointView<Eigen::Lower>() * directions;
  std::vector<double> errors;
  for (const int64_t count : components) {
    // The rows' energy along the first `count` directions; what is left over all of it is the error.
    double explained = 0;
    for (int64_t i = width - count; i < width; ++i) explained += directions.col(i).dot(projected.col(i));
    errors.push_back(1 - explained / test_products.trace());
  }
  return errors;
}

}  // namespace sae
