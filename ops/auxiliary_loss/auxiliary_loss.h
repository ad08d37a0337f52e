#pragma once

#include "engine/tape.h"
#include "ops/matmul/matmul.h"

namespace sae {

/// The autoencoder whose latents are the dead ones, and what it has to explain.
struct DeadDictionary {
  const Variable &encoder, &encoder_bias, &decoder;  ///< of all latents: [latents, width], [latents], [latents, width]
  const Variable& pre_bias;                          ///< [width]
  const Tensor& dead;                                ///< i32 [D], ascending, at least one
  int64_t k = 0;                                     ///< how many of them may be active in a row; D or more: all
};

/// AuxK (Gao et al., A.2): how far the k dead latents with the largest pre-activations are from what the main pass
/// missed, x - y, over its variance in the batch. With E, D and c the rows of the dead latents,
///   a = relu(keep_topk((x - b_pre) E^T + c, k));  m = a D + r;  loss = mean over all elements of m^2 / v,
/// where r = y - x is the residual, a constant [rows, width], and v its mean square about the mean of its columns; no
/// variance: loss 0. The same as batch_normalised_mse(add_row(matmul(a, D), b_pre), b_pre - r) with a constant target,
/// so b_pre, which cancels in the value, has a gradient.
/// Backward, with g the gradient of the loss, f = 2 g / (elements v) and p = m D^T where a > 0, else 0:
///   dE = f p^T (x - b_pre), dD = f a^T m, both at the rows of the dead latents;  dc = f times the column sums of p;
///   db_pre = f (column sums of m - column sums of p times E).
/// With Precision::bf16 the factors of the five products, and nothing else, are rounded to bfloat16, each once (where
/// the processor has such products); what is between them is float32's, and db_pre takes E as it is. 10 rows D width
/// operations; memory in proportion to rows (D + width).
/// f32, on the cpu also f64. Throws on shapes and dtypes that do not fit; on the cpu also NotFinite, naming the row,
/// where a pre-activation is not finite.
Variable auxiliary_loss(const DeadDictionary& latents, const Tensor& x, const Tensor& residual, Precision precision);

}  // namespace sae
