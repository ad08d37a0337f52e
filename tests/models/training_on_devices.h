#pragma once

#include "models/autoencoder/trainer.h"
#include "ops/input_normalisation/input_normalisation.h"
#include "tests/support/devices.h"

namespace sae::testing {

/// A small autoencoder in training on simt, and on cuda where there is a GPU.
class TrainingOnDevices : public DeviceTest {
 protected:
  static constexpr int64_t width = 12, latents = 40, batch_size = 24;

  /// Batch `step` on the host: rows of six hidden directions, so that some latents die and losses fall.
  std::vector<float> rows_of(int64_t step) {
    const std::vector<double> hidden = to_double(random_tensor(*host_, {6, width}, Dtype::f64, 5));
    const Philox random(6, static_cast<uint64_t>(step));
    std::vector<double> x(static_cast<size_t>(batch_size * width), 0.0);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t row = i / width, col = i % width;
      for (size_t f = 0; f < 6; ++f) {
        const uint64_t draw = row * 6 + f;
        const double strength = random.uniform(draw) < 0.4f ? 1 + std::abs(random.normal(1000 + draw)) : 0.02;
        x[i] += strength * hidden[f * width + col];
      }
    }
    return normalise(Tensor::from(*host_, {batch_size, width}, x), InputNormalisation::centred_unit_norm)
        .rows.to(Dtype::f32)
        .to_vector<float>();
  }
  Tensor batch(Device& device, int64_t step) { return Tensor::from(device, {batch_size, width}, rows_of(step)); }

  static TrainingOptions training(int64_t steps) {
    return {.learning_rate = 1e-3,
            .batch_size = batch_size,
            .steps = steps,
            .penalty_warmup = 0.2,
            .dead_after = 5 * batch_size,
            .mse_scale = 3.7};
  }
  /// k_aux: of topk.
  static Trainer make(Device& device, const TrainingOptions& options, Activation activation = Activation::topk,
                      int64_t k_aux = 6) {
    AutoencoderOptions model{.width = width, .latents = latents, .activation = activation, .k = 4};
    if (activation == Activation::relu) model.penalty = 0.3;
    if (activation == Activation::topk) model.k_aux = k_aux;
    std::vector<float> pre_bias = random_tensor(device, {width}, Dtype::f32, 8).to_vector<float>();
    for (float& value : pre_bias) value *= 0.05f;
    return {Autoencoder::initialise(model, Tensor::from(device, {width}, pre_bias), 3), options};
  }

  static double relative(double a, double b) { return std::abs(a - b) / std::max(std::abs(b), 1e-12); }

  /// The worst difference of any parameter, relative to its largest element.
  static double weight_difference(const Trainer& a, const Trainer& b) {
    double worst = 0;
    const auto left = a.autoencoder().parameters(), right = b.autoencoder().parameters();
    for (size_t i = 0; i < left.size(); ++i) {
      worst = std::max(worst, worst_difference(to_double(left[i]->value()), to_double(right[i]->value())));
    }
    return worst;
  }

  /// What a checkpoint would hold, as text.
  std::vector<std::string> bytes_of(const Trainer::State& state) {
    std::vector<std::string> all;
    for (const auto& [name, tensor] : state.tensors) all.push_back(name + ": " + parity::bytes_of(tensor, *host_));
    return all;
  }

  std::unique_ptr<Device> host_ = Device::open(DeviceKind::cpu);
};

inline const auto all_but_cpu = ::testing::Values(DeviceKind::simt, DeviceKind::cuda);

}  // namespace sae::testing
