#pragma once

#include "engine/tensor.h"

namespace sae {

/// Rows as the autoencoder sees them (Gao et al.): the mean over the width removed, then scaled to unit norm. The two
/// numbers of each row bring a reconstruction back into the model's own units. A row without spread becomes zeros.
struct NormalisedRows {
  Tensor rows;  // [rows, width]
  Tensor mean;  // [rows]
  Tensor norm;  // [rows]
};

/// On any device; done by the processor, which another device's rows come and go for.
NormalisedRows normalise(const Tensor& x);
/// y * norm + mean for each row.
Tensor denormalise(const Tensor& y, const Tensor& mean, const Tensor& norm);

/// The same in place, on this thread alone: what a reader that runs ahead applies to its batches, beside the threads of
/// the training step.
void normalise_in_place(float* x, int64_t rows, int64_t width);

}  // namespace sae
