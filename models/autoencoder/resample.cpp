// Trainer::resample_dead.
#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/row_kernels.h"
#include "models/autoencoder/trainer.h"

namespace sae {
namespace {

/// A stream of the seed for each resampling, apart from those of the initialisation.
constexpr uint64_t resampling_stream = 1000;
/// Length of a resampled encoder row over the mean of the live ones (Bricken et al. 2023).
constexpr double encoder_part = 0.2;

/// The sum over the rows so far of (|x - x_hat|^2)^2: what rows are drawn by.
std::vector<double> cumulated_weights(const Autoencoder& autoencoder, std::span<const Tensor> batches) {
  std::vector<double> sums;
  double sum = 0;
  for (const Tensor& x : batches) {
    const auto rebuilt = decode(autoencoder, encode(autoencoder, x)).to(Dtype::f64).to_vector<double>();
    const auto rows = x.to(Dtype::f64).to_vector<double>();
    for (int64_t row = 0; row < x.rows(); ++row) {
      double loss = 0;
      for (int64_t i = row * x.cols(); i < (row + 1) * x.cols(); ++i) {
        const double error = rows[static_cast<size_t>(i)] - rebuilt[static_cast<size_t>(i)];
        loss += error * error;
      }
      sum += loss * loss;
      sums.push_back(sum);
    }
  }
  return sums;
}

/// Row `row` of all the batches, less b_pre, at length 1.
std::vector<double> direction_of(std::span<const Tensor> batches, size_t row, const Tensor& pre_bias) {
  while (static_cast<int64_t>(row) >= batches.front().rows()) {
    row -= static_cast<size_t>(batches.front().rows());
    batches = batches.subspan(1);
  }
  const auto at = static_cast<int64_t>(row);
  std::vector<double> direction = batches.front().slice_rows(at, at + 1).to(Dtype::f64).to_vector<double>();
  const std::vector<double> centre = pre_bias.to(Dtype::f64).to_vector<double>();
  double squares = 0;
  for (size_t i = 0; i < direction.size(); ++i) {
    direction[i] -= centre[i];
    squares += direction[i] * direction[i];
  }
  for (double& value : direction) value /= std::sqrt(std::max(squares, 1e-300));
  return direction;
}

double mean_length(const Tensor& encoder, const std::vector<int64_t>& dead) {
  return visit_real("resample", encoder.dtype(), [&](auto zero) {
    const auto values = encoder.to_vector<decltype(zero)>();
    double sum = 0;
    for (int64_t row = 0; row < encoder.rows(); ++row) {
      if (std::binary_search(dead.begin(), dead.end(), row)) continue;
      const auto* weights = values.data() + row * encoder.cols();
      sum += std::sqrt(static_cast<double>(dot(weights, weights, encoder.cols())));
    }
    const auto live = encoder.rows() - static_cast<int64_t>(dead.size());
    return live > 0 ? sum / static_cast<double>(live) : 1.0;
  });
}

void set_row(Parameter& parameter, int64_t row, const std::vector<double>& values) {
  visit_real("resample", parameter.value().dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> rounded;
    for (const double value : values) rounded.push_back(static_cast<T>(value));
    parameter.update<T>([&](T* elements) {
      T* to = elements + row * static_cast<int64_t>(values.size());
      parameter.value().device().copy_from_host(to, rounded.data(), rounded.size() * sizeof(T));
    });
  });
}

}  // namespace

int64_t Trainer::resample_dead(std::span<const Tensor> batches) {
  require_reported();
  captured_.reset();
  std::vector<int64_t> dead;
  for (size_t latent = 0; latent < rows_since_fired_.size(); ++latent) {
    if (rows_since_fired_[latent] >= options_.dead_after) dead.push_back(static_cast<int64_t>(latent));
  }
  if (dead.empty()) return 0;
  const std::vector<double> cumulated = cumulated_weights(autoencoder_, batches);
  CHECK(!cumulated.empty() && cumulated.back() > 0,
        "resample: there are no rows with an error to take directions from");
  const double length = encoder_part * mean_length(autoencoder_.encoder().value(), dead);
  const Philox random(options_.seed, resampling_stream + static_cast<uint64_t>(steps_done_));
  const auto own = extra_parameters(autoencoder_.options());
  const auto parameters = autoencoder_.parameters();
  for (const int64_t latent : dead) {
    const double draw = random.uniform(static_cast<uint64_t>(latent)) * cumulated.back();
    const auto chosen = std::upper_bound(cumulated.begin(), cumulated.end(), draw) - cumulated.begin();
    const size_t row = std::min(static_cast<size_t>(chosen), cumulated.size() - 1);
    std::vector<double> direction = direction_of(batches, row, autoencoder_.pre_bias().value());
    set_row(autoencoder_.decoder(), latent, direction);
    for (double& value : direction) value *= length;
    set_row(autoencoder_.encoder(), latent, direction);
    set_row(autoencoder_.encoder_bias(), latent, {0.0});
    for (const ExtraParameter& one : own) set_row(autoencoder_.extra(one.name), latent, {one.start});
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Tensor& value = parameters[i]->value();
      if (parameters[i] == &autoencoder_.pre_bias()) continue;
      const std::vector<double> zeros(static_cast<size_t>(value.shape().rank() == 2 ? value.cols() : 1), 0.0);
      set_row(moments_[i].first_moment, latent, zeros);
      set_row(moments_[i].second_moment, latent, zeros);
    }
    rows_since_fired_[static_cast<size_t>(latent)] = 0;
  }
  return static_cast<int64_t>(dead.size());
}

}  // namespace sae
