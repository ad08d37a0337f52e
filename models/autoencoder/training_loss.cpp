// The terms of the training loss: autoencoder.h says what they are.
#include <algorithm>

#include "engine/error.h"
#include "models/autoencoder/latents.h"
#include "ops/add_row/add_row.h"
#include "ops/auxiliary_loss/auxiliary_loss.h"
#include "ops/exponential/exponential.h"
#include "ops/first_columns/first_columns.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/kl_sparsity/kl_sparsity.h"
#include "ops/l0_penalty/l0_penalty.h"
#include "ops/l1_penalty/l1_penalty.h"
#include "ops/normalised_mse/normalised_mse.h"
#include "ops/reconstruction_loss/reconstruction_loss.h"
#include "ops/relu/relu.h"
#include "ops/subtract/subtract.h"
#include "ops/subtract_row/subtract_row.h"
#include "ops/topk/topk.h"
#include "ops/weight_decay/weight_decay.h"

namespace sae {
namespace {

/// What all terms are made of.
struct LossInputs {
  const Weights& weights;
  const AutoencoderOptions& options;
  const Tensor& x;
  double mse_scale;
  const PassOptions& how;
  const std::optional<Variable>& pre_activations;
};

/// Gao et al., A.2: the k_aux largest pre-activations among dead latents model what the main pass missed, b_pre -
/// residual. The target is detached, so live latents get nothing from this term; b_pre cancels in its value but
/// receives its gradient. The dead latents are gathered into a small autoencoder of their own, whose products are
/// dense: no other latent is looked at. The op auxiliary_loss is this in one.
Variable plain_auxiliary_loss(const Weights& weights, const AutoencoderOptions& options, const Tensor& x,
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

/// Rajamanoharan et al. 2024: the gates alone, as ReLU(u + b_gate), reconstruct the row through a decoder and a b_pre
/// that this term does not train, and bear the L1 penalty.
void add_gate_terms(TrainingLoss& loss, const LossInputs& in) {
  const Variable pre = add_row(*in.pre_activations, in.weights.encoder_bias);
  const Variable gates = in.how.layout == LatentLayout::compressed ? relu_compressed(pre) : relu(pre);
  loss.penalty = loss.terms.size();
  loss.terms.push_back({l1_penalty(gates), in.options.penalty});
  const Variable product = matmul(gates, Variable(in.weights.decoder.value), {.precision = in.how.precision});
  const Variable reconstruction = add_row(product, Variable(in.weights.pre_bias.value));
  loss.auxiliary = loss.terms.size();
  loss.terms.push_back({normalised_mse(reconstruction, in.x, in.mse_scale), 1.0});
}

void add_sparsity_terms(TrainingLoss& loss, const LossInputs& in) {
  const auto add_penalty = [&](Variable penalty) {
    loss.penalty = loss.terms.size();
    loss.terms.push_back({std::move(penalty), in.options.penalty});
  };
  switch (in.options.activation) {
    case Activation::relu:
    case Activation::prolu:
    case Activation::prolu_ste:
      return add_penalty(l1_penalty(loss.latents));
    case Activation::gated:
      return add_gate_terms(loss, in);
    case Activation::jump_relu:
      return add_penalty(
          l0_penalty(*in.pre_activations, exponential(in.weights.named("log_threshold")), in.options.bandwidth));
    case Activation::sigmoid:
      add_penalty(kl_sparsity(loss.latents, in.options.target_rate));
      if (in.options.weight_decay > 0) {
        loss.terms.push_back({weight_decay(in.weights.encoder), in.options.weight_decay});
        loss.terms.push_back({weight_decay(in.weights.decoder), in.options.weight_decay});
      }
      return;
    case Activation::multi_topk: {  // Gao et al., section 5.3: L(k) + L(4k) / 8
      const int64_t more = std::min(4 * in.options.k, in.options.latents);
      const Variable latents = relu(topk(*in.pre_activations, more));
      const Variable reconstruction = reconstruct(in.weights, latents, in.how.precision);
      loss.terms.push_back({normalised_mse(reconstruction, in.x, in.mse_scale), 1.0 / 8});
      return;
    }
    case Activation::matryoshka: {  // Bussmann et al. 2025: each nested dictionary must reconstruct alone
      for (const int64_t size : nested_sizes(in.options.latents)) {
        if (size == in.options.latents) continue;  // the first term
        const Variable prefix = first_columns(loss.latents, size);
        const Variable reconstruction = reconstruct(in.weights, prefix, in.how.precision);
        loss.terms.push_back({normalised_mse(reconstruction, in.x, in.mse_scale), 1.0});
      }
      return;
    }
    case Activation::topk:
    case Activation::batch_topk:
      return;
  }
  fail("activation: unknown value {}", static_cast<int>(in.options.activation));
}

}  // namespace

TrainingLoss training_loss(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, double mse_scale,
                           const Tensor& dead, const PassOptions& how) {
  const Latents latents = latents_of(weights, options, x, Phase::training, how);
  TrainingLoss loss{{}, {}, {}, latents.values};
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
  add_sparsity_terms(loss, {weights, options, x, mse_scale, how, latents.pre_activations});
  if (facts_of(options.activation).chooses_k && options.k_aux > 0 && dead.elements() > 0) {
    loss.auxiliary = loss.terms.size();
    const DeadDictionary those{weights.encoder, weights.encoder_bias, weights.decoder, weights.pre_bias, dead,
                               options.k_aux};
    const bool fused = how.fused && (x.dtype() == Dtype::f32 || x.device().kind() == DeviceKind::cpu);
    loss.terms.push_back({fused ? auxiliary_loss(those, x, residual, how.precision)
                                : plain_auxiliary_loss(weights, options, x, residual, dead, how.precision),
                          options.aux_weight});
  }
  return loss;
}

}  // namespace sae
