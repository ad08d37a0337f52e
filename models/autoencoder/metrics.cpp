#include "models/autoencoder/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/error.h"
#include "ops/firings/firings.h"

namespace sae {

std::vector<int64_t> Metrics::density_histogram() const {
  std::vector<int64_t> histogram(8, 0);
  for (const int64_t count : firings) {
    if (count == 0) {
      ++histogram[0];
      continue;
    }
    const double decade = std::floor(std::log10(static_cast<double>(count) / static_cast<double>(rows)));
    ++histogram[static_cast<size_t>(std::clamp(decade + 8, 1.0, 7.0))];
  }
  return histogram;
}

MetricsSum::MetricsSum(const Tensor& data_mean, int64_t latents)
    : data_mean_(data_mean), firings_(static_cast<size_t>(latents), 0) {}

void MetricsSum::add(const Tensor& x, const Value& latents, const Tensor& reconstruction) {
  CHECK(cols_of(latents) == static_cast<int64_t>(firings_.size()), "metrics: latents {}, expected {} of them",
        describe(latents), firings_.size());
  if (!sums_) sums_.emplace(data_mean_.to(x.device()));
  for (const RowErrors& row : sums_->add(x, reconstruction, latents)) {
    error_ += row.error;
    energy_ += row.energy;
    squares_ += row.squares;
    relative_error_ += row.squares > 0 ? row.error / row.squares : 0;
    latents_ += row.latents;
  }
  const std::vector<int64_t> fired = count_firings(latents);
  for (size_t latent = 0; latent < fired.size(); ++latent) firings_[latent] += fired[latent];
  rows_ += x.rows();
}

Metrics MetricsSum::result() const {
  CHECK(rows_ > 0, "metrics: no row was added");
  const auto count = static_cast<double>(rows_);
  Metrics metrics;
  metrics.rows = rows_;
  metrics.normalised_mse = error_ / energy_;
  metrics.per_row_mse = relative_error_ / count;
  // What the mean of all rows takes of a sum of squares.
  const auto mean_squares = [&](const std::vector<double>& column_sums) {
    double sum = 0;
    for (const double of_column : column_sums) sum += of_column * of_column / count;
    return sum;
  };
  metrics.explained_variance =
      1 - (error_ - mean_squares(sums_->error_sum())) / (squares_ - mean_squares(sums_->x_sum()));
  metrics.l0 = static_cast<double>(std::accumulate(firings_.begin(), firings_.end(), int64_t{0})) / count;
  metrics.l1 = latents_ / count;
  metrics.firings = firings_;
  metrics.dead_fraction = static_cast<double>(std::count(firings_.begin(), firings_.end(), 0)) /
                          static_cast<double>(std::max<size_t>(1, firings_.size()));
  return metrics;
}

double held_out_objective(const AutoencoderOptions& options, const Metrics& metrics) {
  switch (options.activation) {
    case Activation::relu:
    case Activation::prolu:
    case Activation::prolu_ste:
    case Activation::gated:
      return metrics.normalised_mse + options.penalty * metrics.l1;
    case Activation::jump_relu:
      return metrics.normalised_mse + options.penalty * metrics.l0;
    case Activation::topk:
    case Activation::multi_topk:
    case Activation::batch_topk:
    case Activation::matryoshka:
    case Activation::sigmoid:
      return metrics.normalised_mse;
  }
  fail("activation: unknown value {}", static_cast<int>(options.activation));
}

void add_batch(MetricsSum& sum, const Autoencoder& autoencoder, const Tensor& x, const PassOptions& how) {
  const Value latents = encode(autoencoder, x, how);
  sum.add(x, latents, decode(autoencoder, latents));
}

}  // namespace sae
