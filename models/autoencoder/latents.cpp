#include "models/autoencoder/latents.h"

#include <algorithm>
#include <limits>

#include "engine/error.h"
#include "ops/add_row/add_row.h"
#include "ops/batch_topk/batch_topk.h"
#include "ops/exponential/exponential.h"
#include "ops/gated_relu/gated_relu.h"
#include "ops/jump_relu/jump_relu.h"
#include "ops/prolu/prolu.h"
#include "ops/relu/relu.h"
#include "ops/sigmoid/sigmoid.h"
#include "ops/subtract_row/subtract_row.h"
#include "ops/topk/topk.h"

namespace sae {
namespace {

/// A matrix without negative values, in the layout that was asked for.
Variable stored_as(LatentLayout layout, Variable y) {
  return layout == LatentLayout::compressed ? relu_compressed(y) : y;
}

/// The one threshold of a batch_topk autoencoder, for every column.
Tensor threshold_row(const Weights& weights, int64_t latents) {
  const Tensor& threshold = require_dense("threshold", weights.named("threshold").value);
  const double value = threshold.to(Dtype::f64).item<double>();
  CHECK(value > 0,
        "this autoencoder chooses its latents in the whole batch, and the threshold that replaces the batch outside "
        "training was never measured; call measure_threshold first");
  return Tensor::from(threshold.device(), {latents}, std::vector<double>(static_cast<size_t>(latents), value))
      .to(threshold.dtype());
}

Variable activate(const Weights& weights, const AutoencoderOptions& options, const Variable& pre, Phase phase,
                  LatentLayout layout) {
  switch (options.activation) {
    case Activation::relu:
      return layout == LatentLayout::compressed ? relu_compressed(pre) : relu(pre);
    case Activation::prolu:
      return stored_as(layout, prolu(pre, weights.encoder_bias, ProluGradient::relu));
    case Activation::prolu_ste:
      return stored_as(layout, prolu(pre, weights.encoder_bias, ProluGradient::straight_through));
    case Activation::gated:
      return stored_as(layout, gated_relu(pre, weights.encoder_bias, exponential(weights.named("magnitude_log_scale")),
                                          weights.named("magnitude_bias")));
    case Activation::jump_relu: {
      const Variable threshold = exponential(weights.named("log_threshold"));
      const double bandwidth = phase == Phase::training ? options.bandwidth : 0;
      return layout == LatentLayout::compressed ? jump_relu_compressed(pre, threshold, bandwidth)
                                                : jump_relu(pre, threshold, bandwidth);
    }
    case Activation::topk:
    case Activation::multi_topk:
      return relu(topk(pre, options.k));
    case Activation::batch_topk:
    case Activation::matryoshka:
      if (phase == Phase::training) return relu(batch_topk(pre, options.k));
      return jump_relu_compressed(pre, threshold_row(weights, options.latents), 0);
    case Activation::sigmoid:
      return sigmoid(pre);
  }
  fail("activation: unknown value {}", static_cast<int>(options.activation));
}

/// ProLU and the gates use b_enc in their own way.
bool adds_bias(Activation activation) {
  return activation != Activation::prolu && activation != Activation::prolu_ste && activation != Activation::gated;
}

}  // namespace

Latents latents_of(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, Phase phase,
                   const PassOptions& how) {
  CHECK(x.cols() == options.width, "autoencoder: rows of width {}, this autoencoder reads width {}", x.cols(),
        options.width);
  const Variable centred = subtract_row(x, weights.pre_bias);
  if (how.fused && options.activation == Activation::topk) {
    const EncodeOptions encode{.scoring = how.scoring, .panels = how.panels, .counts = how.encode_counts};
    return {std::nullopt, relu(topk_encode(centred, weights.encoder, weights.encoder_bias, options.k, encode))};
  }
  // What the largest are chosen from must be as exact as asked, whatever the other products are.
  const bool exact = facts_of(options.activation).chooses_k && how.scoring != Scoring::bf16;
  const Precision precision = exact ? Precision::f32 : how.precision;
  Variable pre = matmul(centred, weights.encoder, {.transpose_b = true, .precision = precision});
  if (adds_bias(options.activation)) pre = add_row(pre, weights.encoder_bias);
  Variable values = activate(weights, options, pre, phase, how.layout);
  return {std::move(pre), std::move(values)};
}

Variable reconstruct(const Weights& weights, const Variable& latents, Precision precision) {
  return add_row(matmul(latents, weights.decoder, {.precision = precision}), weights.pre_bias);
}

Pass run(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, const PassOptions& how) {
  Latents latents = latents_of(weights, options, x, Phase::training, how);
  Variable reconstruction = reconstruct(weights, latents.values, how.precision);
  return {std::move(latents.values), std::move(reconstruction)};
}

Value encode(const Autoencoder& autoencoder, const Tensor& x, const PassOptions& how) {
  return latents_of(Weights::constant(autoencoder), autoencoder.options(), x, Phase::inference, how).values.value;
}

Tensor decode(const Autoencoder& autoencoder, const Value& latents) {
  return require_dense("decode", reconstruct(Weights::constant(autoencoder), latents, Precision::f32).value);
}

void measure_threshold(Autoencoder& autoencoder, std::span<const Tensor> batches) {
  if (!facts_of(autoencoder.options().activation).whole_batch) return;
  double sum = 0;
  int64_t counted = 0;
  for (const Tensor& batch : batches) {
    const Latents latents =
        latents_of(Weights::constant(autoencoder), autoencoder.options(), batch, Phase::training, {});
    double least = std::numeric_limits<double>::infinity();
    for (const double value : stored_values(latents.values.value).to(Dtype::f64).to_vector<double>()) {
      if (value > 0) least = std::min(least, value);
    }
    if (least == std::numeric_limits<double>::infinity()) continue;  // no active latent in the batch
    sum += least;
    ++counted;
  }
  CHECK(counted > 0, "measure_threshold: no latent is above 0 in any of {} batches", batches.size());
  Parameter& threshold = autoencoder.extra("threshold");
  const double mean = sum / static_cast<double>(counted);
  threshold.assign(Tensor::scalar(threshold.value().device(), mean).to(threshold.value().dtype()));
}

}  // namespace sae
