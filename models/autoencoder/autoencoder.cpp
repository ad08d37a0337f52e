#include "models/autoencoder/autoencoder.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/row_kernels.h"
#include "ops/add_row/add_row.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/l1_penalty/l1_penalty.h"
#include "ops/normalised_mse/normalised_mse.h"
#include "ops/reconstruction_loss/reconstruction_loss.h"
#include "ops/relu/relu.h"
#include "ops/subtract/subtract.h"
#include "ops/subtract_row/subtract_row.h"
#include "ops/topk/topk.h"
#include "ops/unit_norm/unit_norm.h"

namespace sae {

std::string_view name_of(Activation activation) {
  switch (activation) {
    case Activation::relu:
      return "relu";
    case Activation::topk:
      return "topk";
  }
  fail("activation: unknown value {}", static_cast<int>(activation));
}

Activation parse_activation(std::string_view text) {
  for (const Activation activation : {Activation::relu, Activation::topk}) {
    if (text == name_of(activation)) return activation;
  }
  fail("activation: expected relu or topk, got '{}'", text);
}

void check(const AutoencoderOptions& options) {
  CHECK(options.width >= 1, "autoencoder: width is {}, expected at least 1", options.width);
  CHECK(options.latents >= 1, "autoencoder: latents is {}, expected at least 1", options.latents);
  CHECK(options.activation != Activation::topk || (1 <= options.k && options.k <= options.latents),
        "autoencoder: expected 1 <= k <= latents = {}, got k = {}", options.latents, options.k);
  CHECK(std::isfinite(options.l1) && options.l1 >= 0, "autoencoder: l1 is {}, expected 0 or more", options.l1);
  CHECK(0 <= options.k_aux && options.k_aux <= options.latents,
        "autoencoder: expected 0 <= k_aux <= latents = {}, got {}", options.latents, options.k_aux);
  CHECK(std::isfinite(options.aux_weight) && options.aux_weight >= 0,
        "autoencoder: the weight of the auxiliary loss is {}, expected 0 or more", options.aux_weight);
}

int64_t default_k_aux(int64_t width, int64_t latents) {
  const double exponent = std::round(std::log2(std::max(1.0, static_cast<double>(width) / 2)));
  return std::min(latents, static_cast<int64_t>(std::exp2(exponent)));
}

Autoencoder::Autoencoder(AutoencoderOptions options, Tensor encoder, Tensor encoder_bias, Tensor decoder,
                         Tensor pre_bias)
    : options_(options),
      encoder_("encoder", std::move(encoder)),
      encoder_bias_("encoder_bias", std::move(encoder_bias)),
      decoder_("decoder", std::move(decoder)),
      pre_bias_("pre_bias", std::move(pre_bias)) {
  check(options_);
  const auto expect = [&](const Parameter& parameter, Shape shape) {
    CHECK(parameter.value().shape() == shape && parameter.value().dtype() == encoder_.value().dtype(),
          "autoencoder: '{}' is {}, expected {} {}", parameter.name(), parameter.value().describe(),
          name_of(encoder_.value().dtype()), shape.to_string());
  };
  expect(encoder_, {options_.latents, options_.width});
  expect(encoder_bias_, {options_.latents});
  expect(decoder_, {options_.latents, options_.width});
  expect(pre_bias_, {options_.width});
}

namespace {

/// Streams of the seed, so that no two uses share a draw.
enum : uint64_t { decoder_stream = 1, probe_stream = 2 };

Parameter unit_rows(Device& device, int64_t rows, int64_t width, Dtype dtype, uint64_t seed, uint64_t stream) {
  Parameter directions("directions", normal_tensor(device, {rows, width}, dtype, Philox(seed, stream)));
  normalise_rows(directions);
  return directions;
}

template <class T>
double mean_row_norm(const Tensor& x) {
  double sum = 0;
  for (int64_t row = 0; row < x.rows(); ++row) {
    const T* values = x.data<T>() + row * x.cols();
    sum += std::sqrt(static_cast<double>(dot(values, values, x.cols())));
  }
  return sum / static_cast<double>(x.rows());
}

Tensor scaled(const Tensor& x, double factor) {
  Writable out = Tensor::empty(x.device(), x.shape(), x.dtype());
  visit_real("initialise", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::transform(x.data<T>(), x.data<T>() + x.elements(), out.data<T>(),
                   [&](T value) { return static_cast<T>(value * static_cast<T>(factor)); });
  });
  return std::move(out).freeze();
}

/// The mean length at which k latents of a tied dictionary rebuild random unit vectors (Gao et al., appendix A: the
/// authors probe with 256).
double reconstructed_length(const Tensor& dictionary, int64_t k, uint64_t seed) {
  constexpr int64_t probes = 256;
  const Parameter vectors =
      unit_rows(dictionary.device(), probes, dictionary.cols(), dictionary.dtype(), seed, probe_stream);
  const Variable latents = relu(topk(matmul(vectors.value(), dictionary, {.transpose_b = true}), k));
  const Tensor rebuilt = require_dense("initialise", matmul(latents, dictionary).value);
  return visit_real("initialise", rebuilt.dtype(), [&](auto zero) { return mean_row_norm<decltype(zero)>(rebuilt); });
}

}  // namespace

Autoencoder Autoencoder::initialise(AutoencoderOptions options, const Tensor& pre_bias, uint64_t seed) {
  check(options);
  Device& device = pre_bias.device();
  const Dtype dtype = pre_bias.dtype();
  Tensor decoder = unit_rows(device, options.latents, options.width, dtype, seed, decoder_stream).value();
  const double length = options.activation == Activation::topk ? 1.0 / reconstructed_length(decoder, options.k, seed)
                                                               : 1.0 / std::sqrt(3.0);
  Tensor encoder = scaled(decoder, length);
  return Autoencoder(options, std::move(encoder), Tensor::zeros(device, {options.latents}, dtype), std::move(decoder),
                     pre_bias.with_shape({options.width}));
}

Weights Weights::watched(Tape& tape, Autoencoder& autoencoder) {
  return {tape.watch(autoencoder.encoder()), tape.watch(autoencoder.encoder_bias()), tape.watch(autoencoder.decoder()),
          tape.watch(autoencoder.pre_bias())};
}

Weights Weights::constant(const Autoencoder& autoencoder) {
  return {autoencoder.encoder().value(), autoencoder.encoder_bias().value(), autoencoder.decoder().value(),
          autoencoder.pre_bias().value()};
}

namespace {

Variable pre_activations(const Weights& weights, const Tensor& x, Precision precision) {
  const Variable centred = subtract_row(x, weights.pre_bias);
  return add_row(matmul(centred, weights.encoder, {.transpose_b = true, .precision = precision}), weights.encoder_bias);
}

Variable activate(const Variable& pre, const AutoencoderOptions& options, LatentLayout layout) {
  switch (options.activation) {
    case Activation::topk:
      return relu(topk(pre, options.k));
    case Activation::relu:
      return layout == LatentLayout::compressed ? relu_compressed(pre) : relu(pre);
  }
  fail("activation: unknown value {}", static_cast<int>(options.activation));
}

Variable latents_of(const Weights& weights, const AutoencoderOptions& options, const Tensor& x,
                    const PassOptions& how) {
  CHECK(x.cols() == options.width, "autoencoder: rows of width {}, this autoencoder reads width {}", x.cols(),
        options.width);
  const bool chooses = options.activation == Activation::topk;
  if (how.fused && chooses) {
    const EncodeOptions encode{.scoring = how.scoring, .panels = how.panels, .counts = how.encode_counts};
    return relu(
        topk_encode(subtract_row(x, weights.pre_bias), weights.encoder, weights.encoder_bias, options.k, encode));
  }
  // What topk chooses from must be as exact as asked, whatever the other products are.
  const Precision precision = !chooses                       ? how.precision
                              : how.scoring == Scoring::bf16 ? Precision::bf16
                                                             : Precision::f32;
  return activate(pre_activations(weights, x, precision), options, how.layout);
}

Variable reconstruct(const Weights& weights, const Variable& latents, Precision precision) {
  return add_row(matmul(latents, weights.decoder, {.precision = precision}), weights.pre_bias);
}

}  // namespace

Pass run(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, const PassOptions& how) {
  Variable latents = latents_of(weights, options, x, how);
  Variable reconstruction = reconstruct(weights, latents, how.precision);
  return {std::move(latents), std::move(reconstruction)};
}

Value encode(const Autoencoder& autoencoder, const Tensor& x, const PassOptions& how) {
  return latents_of(Weights::constant(autoencoder), autoencoder.options(), x, how).value;
}

Tensor decode(const Autoencoder& autoencoder, const Value& latents) {
  return require_dense("decode", reconstruct(Weights::constant(autoencoder), latents, Precision::f32).value);
}

namespace {

/// Gao et al., A.2: the k_aux largest pre-activations among dead latents model what the main pass missed, b_pre -
/// residual. The target is detached, so live latents get nothing from this term; b_pre cancels in its value but
/// receives its gradient. The dead latents are gathered into a small autoencoder of their own, whose products are
/// dense: no other latent is looked at.
Variable auxiliary_loss(const Weights& weights, const AutoencoderOptions& options, const Tensor& x,
                        const Tensor& residual, const Tensor& dead, Precision precision) {
  const Variable encoder = gather_rows(weights.encoder, dead), bias = gather_rows(weights.encoder_bias, dead);
  const Variable decoder = gather_rows(weights.decoder, dead);
  const Variable centred = subtract_row(x, weights.pre_bias);
  Variable pre = add_row(matmul(centred, encoder, {.transpose_b = true, .precision = precision}), bias);
  if (dead.elements() > options.k_aux) pre = keep_topk(pre, options.k_aux);
  const Variable prediction = add_row(matmul(relu(pre), decoder, {.precision = precision}), weights.pre_bias);
  const Variable missed = subtract(Tensor::zeros(x.device(), x.shape(), x.dtype()), residual);
  const Tensor target = require_dense("auxiliary loss", add_row(missed, Variable(weights.pre_bias.value)).value);
  return batch_normalised_mse(prediction, target);
}

}  // namespace

TrainingLoss training_loss(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, double mse_scale,
                           const Tensor& dead, const PassOptions& how) {
  TrainingLoss loss{{}, latents_of(weights, options, x, how)};
  Tensor residual;
  if (how.fused && !std::holds_alternative<Tensor>(loss.latents.value)) {
    ReconstructionLoss main = reconstruction_loss(loss.latents, weights.decoder, weights.pre_bias, x, mse_scale);
    residual = main.residual;
    loss.terms.push_back({std::move(main.loss), 1.0});
  } else {
    const Variable reconstruction = reconstruct(weights, loss.latents, how.precision);
    residual = require_dense("training loss", subtract(Variable(reconstruction.value), x).value);
    loss.terms.push_back({normalised_mse(reconstruction, x, mse_scale), 1.0});
  }
  if (options.activation == Activation::relu) {
    loss.terms.push_back({l1_penalty(loss.latents), options.l1});
  } else if (options.k_aux > 0 && dead.elements() > 0) {
    loss.terms.push_back({auxiliary_loss(weights, options, x, residual, dead, how.precision), options.aux_weight});
  }
  return loss;
}

}  // namespace sae
