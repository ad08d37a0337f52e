#pragma once

#include "ops/auxiliary_loss/auxiliary_loss.h"

namespace sae::on_device {

/// What the auxiliary loss reads on simt and cuda, f32: E, D [latents, width], b_enc [latents]; x - b_pre and y - x
/// [rows, width], and the latter's column_sum.
struct AuxiliaryInputs {
  Tensor encoder, encoder_bias, decoder, centred, residual, residual_sums;
  Tensor listed;        // i32 [D]: dead latents, ascending; then, in places that are left, the number of all latents
  int64_t k;            // how many may be active in a row
  Precision precision;  // of the products
};

/// The forward pass, with what backward needs.
struct AuxiliaryPass {
  Tensor loss;              // [1]
  Tensor encoder, decoder;  // the listed rows
  Tensor active;            // a [rows, D]
  Tensor error, factor;     // m [rows, width], and the [1] by which it is the loss's gradient
};

/// The gradients at the listed rows and of b_pre [1, width].
struct AuxiliaryGradients {
  RowsGradient encoder, encoder_bias, decoder;
  Tensor pre_bias;
};

/// auxiliary_loss.h has the formulas. Where nobody is listed, loss and gradients are 0. They wait for nothing, and
/// check nothing that only the device knows: a weight that is not finite shows in its update.
AuxiliaryPass auxiliary_forward(const AuxiliaryInputs& in);
/// `weight`: the gradient of the loss.
AuxiliaryGradients auxiliary_backward(const AuxiliaryInputs& in, const AuxiliaryPass& pass, double weight);

/// Both on a tape.
Variable auxiliary_loss(const DeadDictionary& latents, const Tensor& x, const Tensor& residual, Precision precision);

}  // namespace sae::on_device
