#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace sae::testing {

/// An autoencoder and its training step written down once more, as plainly as possible: double, dense, loops, no tape,
/// no sparse layouts; formulas of Gao et al., eq. 1 and 2, appendix A differentiated by hand. What the engine is held
/// against.
struct ReferenceTraining {
  bool topk = true;
  int64_t width = 0, latents = 0, k = 0, k_aux = 0, steps = 0, dead_after = 0;
  double l1 = 0, l1_warmup = 0, aux_weight = 1.0 / 32, mse_scale = 1, learning_rate = 0;

  using Matrix = std::vector<std::vector<double>>;
  Matrix encoder, decoder;  // [latents][width]
  std::vector<double> encoder_bias, pre_bias;

  struct Loss {
    double mse = 0, penalty = 0, auxiliary = 0;
    int64_t dead = 0;
  };

  /// One step on x [rows][width]; returns the losses before the update.
  Loss step(const Matrix& x) {
    if (since_fired_.empty()) since_fired_.assign(static_cast<size_t>(latents), 0);
    clear_gradients();
    const auto rows = x.size();
    const double batch = static_cast<double>(rows), d = static_cast<double>(width);
    Loss loss;
    std::vector<size_t> dead;
    for (size_t j = 0; j < since_fired_.size(); ++j) {
      if (topk && since_fired_[j] >= dead_after) dead.push_back(j);
    }
    loss.dead = static_cast<int64_t>(dead.size());
    const double penalty_weight = l1 * warmup();

    Matrix pre(rows), z(rows), output(rows), d_pre(rows, std::vector<double>(static_cast<size_t>(latents), 0.0));
    for (size_t b = 0; b < rows; ++b) {
      pre[b] = pre_activations(x[b]);
      z[b] = topk ? largest(pre[b], all_latents(), k) : pre[b];
      for (double& value : z[b]) value = std::max(value, 0.0);
      output[b] = decode(z[b]);
    }
    for (size_t b = 0; b < rows; ++b) {
      std::vector<double> g(static_cast<size_t>(width));
      for (size_t i = 0; i < g.size(); ++i) {
        const double error = output[b][i] - x[b][i];
        loss.mse += mse_scale * error * error / (batch * d);
        g[i] = 2 * mse_scale * error / (batch * d);
      }
      if (!topk) loss.penalty += std::accumulate(z[b].begin(), z[b].end(), 0.0) / batch;
      backward_decoder(z[b], g, topk ? 0.0 : penalty_weight / batch, d_pre[b]);
    }
    if (topk && k_aux > 0 && !dead.empty()) loss.auxiliary = auxiliary(x, pre, output, dead, d_pre);
    for (size_t b = 0; b < rows; ++b) backward_encoder(x[b], d_pre[b]);

    for (size_t j = 0; j < since_fired_.size(); ++j) {
      bool fired = false;
      for (size_t b = 0; b < rows; ++b) fired = fired || z[b][j] > 0;
      since_fired_[j] = fired ? 0 : since_fired_[j] + static_cast<int64_t>(rows);
    }
    update();
    return loss;
  }

  Matrix encoder_gradient, decoder_gradient;
  std::vector<double> encoder_bias_gradient, pre_bias_gradient;

 private:
  double warmup() const {
    const double over = l1_warmup * static_cast<double>(steps);
    return over < 1 ? 1.0 : std::min(1.0, static_cast<double>(done_ + 1) / over);
  }
  std::vector<size_t> all_latents() const {
    std::vector<size_t> all(static_cast<size_t>(latents));
    std::iota(all.begin(), all.end(), size_t{0});
    return all;
  }
  void clear_gradients() {
    encoder_gradient.assign(static_cast<size_t>(latents), std::vector<double>(static_cast<size_t>(width), 0.0));
    decoder_gradient = encoder_gradient;
    encoder_bias_gradient.assign(static_cast<size_t>(latents), 0.0);
    pre_bias_gradient.assign(static_cast<size_t>(width), 0.0);
  }
  std::vector<double> pre_activations(const std::vector<double>& x) const {
    std::vector<double> pre = encoder_bias;
    for (size_t j = 0; j < pre.size(); ++j) {
      for (size_t i = 0; i < x.size(); ++i) pre[j] += encoder[j][i] * (x[i] - pre_bias[i]);
    }
    return pre;
  }
  static std::vector<double> largest(const std::vector<double>& pre, std::vector<size_t> among, int64_t count) {
    std::stable_sort(among.begin(), among.end(), [&](size_t a, size_t b) { return pre[a] > pre[b]; });
    std::vector<double> kept(pre.size(), 0.0);
    for (size_t j = 0; j < std::min(among.size(), static_cast<size_t>(count)); ++j) kept[among[j]] = pre[among[j]];
    return kept;
  }
  std::vector<double> decode(const std::vector<double>& z) const {
    std::vector<double> y = pre_bias;
    for (size_t j = 0; j < z.size(); ++j) {
      for (size_t i = 0; i < y.size(); ++i) y[i] += z[j] * decoder[j][i];
    }
    return y;
  }
  /// g: gradient of a decoded row. Adds to the decoder's and pre-bias's gradient and to that of the pre-activations.
  void backward_decoder(const std::vector<double>& z, const std::vector<double>& g, double penalty,
                        std::vector<double>& d_pre) {
    for (size_t i = 0; i < g.size(); ++i) pre_bias_gradient[i] += g[i];
    for (size_t j = 0; j < z.size(); ++j) {
      if (z[j] <= 0) continue;
      double dz = penalty;
      for (size_t i = 0; i < g.size(); ++i) {
        dz += g[i] * decoder[j][i];
        decoder_gradient[j][i] += z[j] * g[i];
      }
      d_pre[j] += dz;
    }
  }
  void backward_encoder(const std::vector<double>& x, const std::vector<double>& d_pre) {
    for (size_t j = 0; j < d_pre.size(); ++j) {
      encoder_bias_gradient[j] += d_pre[j];
      for (size_t i = 0; i < x.size(); ++i) {
        encoder_gradient[j][i] += d_pre[j] * (x[i] - pre_bias[i]);
        pre_bias_gradient[i] -= d_pre[j] * encoder[j][i];
      }
    }
  }
  double auxiliary(const Matrix& x, const Matrix& pre, const Matrix& output, const std::vector<size_t>& dead,
                   Matrix& d_pre) {
    const auto rows = x.size();
    const double count = static_cast<double>(rows) * static_cast<double>(width);
    Matrix target(rows, std::vector<double>(static_cast<size_t>(width)));
    std::vector<double> mean(static_cast<size_t>(width), 0.0);
    for (size_t b = 0; b < rows; ++b) {
      for (size_t i = 0; i < mean.size(); ++i) {
        target[b][i] = x[b][i] - output[b][i] + pre_bias[i];
        mean[i] += target[b][i] / static_cast<double>(rows);
      }
    }
    double spread = 0, error = 0;
    for (size_t b = 0; b < rows; ++b) {
      for (size_t i = 0; i < mean.size(); ++i) spread += (target[b][i] - mean[i]) * (target[b][i] - mean[i]) / count;
    }
    for (size_t b = 0; b < rows; ++b) {
      std::vector<double> z = largest(pre[b], dead, k_aux);
      for (double& value : z) value = std::max(value, 0.0);
      const std::vector<double> y = decode(z);
      std::vector<double> g(y.size());
      for (size_t i = 0; i < y.size(); ++i) {
        error += (y[i] - target[b][i]) * (y[i] - target[b][i]) / count;
        g[i] = aux_weight * 2 * (y[i] - target[b][i]) / (count * spread);
      }
      backward_decoder(z, g, 0.0, d_pre[b]);
    }
    return error / spread;
  }

  struct Moments {
    double m = 0, v = 0;
  };
  void adam(double& w, double g, Moments& state) const {
    const auto t = static_cast<double>(done_ + 1);
    state.m = 0.9 * state.m + 0.1 * g;
    state.v = 0.999 * state.v + 0.001 * g * g;
    w -=
        learning_rate * (state.m / (1 - std::pow(0.9, t))) / (std::sqrt(state.v / (1 - std::pow(0.999, t))) + 6.25e-10);
  }
  void update() {
    const size_t n = static_cast<size_t>(latents), d = static_cast<size_t>(width);
    moments_.resize(2 * n * d + n + d);
    size_t at = 0;
    for (size_t j = 0; j < n; ++j) {
      double along = 0;
      for (size_t i = 0; i < d; ++i) along += decoder_gradient[j][i] * decoder[j][i];
      for (size_t i = 0; i < d; ++i) decoder_gradient[j][i] -= along * decoder[j][i];
      for (size_t i = 0; i < d; ++i) adam(encoder[j][i], encoder_gradient[j][i], moments_[at++]);
      for (size_t i = 0; i < d; ++i) adam(decoder[j][i], decoder_gradient[j][i], moments_[at++]);
      adam(encoder_bias[j], encoder_bias_gradient[j], moments_[at++]);
      double squares = 0;
      for (size_t i = 0; i < d; ++i) squares += decoder[j][i] * decoder[j][i];
      for (size_t i = 0; i < d; ++i) decoder[j][i] /= std::sqrt(squares);
    }
    for (size_t i = 0; i < d; ++i) adam(pre_bias[i], pre_bias_gradient[i], moments_[at++]);
    ++done_;
  }

  std::vector<Moments> moments_;
  std::vector<int64_t> since_fired_;
  int64_t done_ = 0;
};

}  // namespace sae::testing
