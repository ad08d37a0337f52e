#pragma once

#include "engine/tensor.h"

namespace sae {

/// Rows as the autoencoder sees them (paper.md 1.2): the mean over the width removed, then scaled to unit norm. The two
/// numbers of each row bring a reconstruction back into the model's own units. A row without spread becomes zeros.
struct NormalisedRows {
  Tensor rows;  // [rows, width]
  Tensor mean;  // [rows]
  Tensor norm;  // [rows]
};

NormalisedRows normalise(const Tensor& x);
/// y * norm + mean for each row.
Tensor denormalise(const Tensor& y, const Tensor& mean, const Tensor& norm);

/// The same in place on `rows` x `width` floats: what a prefetching reader applies to a batch. mean and norm may be
/// null.
void normalise_in_place(float* x, int64_t rows, int64_t width, float* mean, float* norm);

}  // namespace sae
