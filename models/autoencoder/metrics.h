#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/autoencoder/autoencoder.h"
#include "ops/error_sums/error_sums.h"

namespace sae {

/// What a set of rows says of an autoencoder. All sums are in double and run row by row, so that no number depends on
/// how the rows were cut into batches.
struct Metrics {
  int64_t rows = 0;
  double normalised_mse = 0;  ///< sum |x - x_hat|^2 / sum |x - mean|^2, one ratio of sums (Gao et al.)
  double per_row_mse = 0;     ///< mean over rows of |x - x_hat|^2 / |x|^2, uncentred: another unit, not to be mixed up
  double explained_variance = 0;  ///< 1 - variance of (x - x_hat) / variance of x, summed over the width
  double l0 = 0;                  ///< mean number of latents above 0
  double l1 = 0;                  ///< mean sum of latents
  double dead_fraction = 0;       ///< latents that no row fired
  std::vector<int64_t> firings;   ///< [latents] rows in which each latent fired

  /// The number of latents in each decade of density (firings / rows): [0] never, [1] below 1e-6, [2] 1e-6 to 1e-5, ...
  /// [7] 0.1 to 1.
  std::vector<int64_t> density_histogram() const;
};

/// Adds up metrics over batches of normalised rows, on the device of the first.
class MetricsSum {
 public:
  /// data_mean: [width], the mean of the normalised rows of the training split. Predicting it has normalised_mse 1 on
  /// that split.
  MetricsSum(const Tensor& data_mean, int64_t latents);

  void add(const Tensor& x, const Value& latents, const Tensor& reconstruction);
  /// Throws if no row was added.
  Metrics result() const;

 private:
  Tensor data_mean_;
  std::optional<ErrorSums> sums_;  // from the first batch on
  int64_t rows_ = 0;
  double error_ = 0, energy_ = 0, relative_error_ = 0, squares_ = 0, latents_ = 0;
  std::vector<int64_t> firings_;
};

/// The training objective on held-out rows, by which weights, learning rates and runs of one activation are compared:
/// normalised_mse + penalty times the L1 or, for jump_relu, the L0 of the latents. For gated the latents stand in for
/// the gates, which metrics do not see; sigmoid's and AuxK's terms are left out.
double held_out_objective(const AutoencoderOptions& options, const Metrics& metrics);

/// Encodes, decodes and adds one batch.
void add_batch(MetricsSum& sum, const Autoencoder& autoencoder, const Tensor& x, const PassOptions& how = {});

}  // namespace sae
