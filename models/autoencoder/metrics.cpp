#include "models/autoencoder/metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/error.h"
#include "engine/parallel.h"
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
    : error_sum_(static_cast<size_t>(data_mean.elements()), 0.0),
      x_sum_(static_cast<size_t>(data_mean.elements()), 0.0),
      firings_(static_cast<size_t>(latents), 0) {
  data_mean_ = data_mean.to(Dtype::f64).to_vector<double>();
}

namespace {

/// The sums that one row contributes.
struct RowSums {
  double error = 0, energy = 0, squares = 0;
};

template <class T>
RowSums row_sums(const T* x, const T* reconstruction, const std::vector<double>& mean) {
  RowSums sums;
  for (size_t i = 0; i < mean.size(); ++i) {
    const double value = x[i], error = value - static_cast<double>(reconstruction[i]), centred = value - mean[i];
    sums.error += error * error;
    sums.energy += centred * centred;
    sums.squares += value * value;
  }
  return sums;
}

}  // namespace

void MetricsSum::add(const Tensor& x, const Value& latents, const Tensor& reconstruction) {
  const auto width = static_cast<int64_t>(data_mean_.size());
  CHECK(x.cols() == width && reconstruction.shape() == x.shape() && rows_of(latents) == x.rows() &&
            cols_of(latents) == static_cast<int64_t>(firings_.size()),
        "metrics: rows {}, latents {}, reconstruction {} for width {} and {} latents", x.describe(), describe(latents),
        reconstruction.describe(), width, firings_.size());
  const auto here = [&](const Tensor& tensor) {
    return tensor.device().kind() == DeviceKind::cpu ? tensor : tensor.to(*host_);
  };
  const Tensor x_here = here(x), reconstruction_here = here(reconstruction), stored = here(stored_values(latents));
  visit_real("metrics", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *from = x_here.data<T>(), *to = reconstruction_here.data<T>();
    std::vector<RowSums> sums(static_cast<size_t>(x.rows()));
    parallel_for(x.rows(), grain_for(width), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        sums[static_cast<size_t>(row)] = row_sums(from + row * width, to + row * width, data_mean_);
      }
    });
    for (const RowSums& row : sums) {
      error_ += row.error;
      energy_ += row.energy;
      x_squares_ += row.squares;
      relative_error_ += row.squares > 0 ? row.error / row.squares : 0;
    }
    parallel_for(width, 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = 0; row < x.rows(); ++row) {
        for (int64_t i = begin; i < end; ++i) {
          const double value = from[row * width + i];
          x_sum_[static_cast<size_t>(i)] += value;
          error_sum_[static_cast<size_t>(i)] += value - static_cast<double>(to[row * width + i]);
        }
      }
    });
    for (int64_t e = 0; e < stored.elements(); ++e) latent_sum_ += static_cast<double>(stored.data<T>()[e]);
  });
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
  double x_mean_squares = 0, error_mean_squares = 0;
  for (size_t i = 0; i < data_mean_.size(); ++i) {
    x_mean_squares += x_sum_[i] * x_sum_[i] / count;
    error_mean_squares += error_sum_[i] * error_sum_[i] / count;
  }
  metrics.explained_variance = 1 - (error_ - error_mean_squares) / (x_squares_ - x_mean_squares);
  metrics.l0 = static_cast<double>(std::accumulate(firings_.begin(), firings_.end(), int64_t{0})) / count;
  metrics.l1 = latent_sum_ / count;
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
