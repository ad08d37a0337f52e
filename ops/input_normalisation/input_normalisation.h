#pragma once

#include <string_view>

#include "engine/tensor.h"

namespace sae {

/// What is done to a row of activations before an autoencoder sees it; a reconstruction is brought back by the same
/// two numbers. Constant factors (the sqrt(width) of a layer norm, say) belong into the weights instead.
enum class InputNormalisation {
  none,
  unit_norm,          ///< scaled to unit norm
  centred_unit_norm,  ///< the mean over the width removed, then scaled to unit norm (Gao et al.): what is trained here
};

/// As files spell it: "none", "unit norm", "mean over the width removed, unit norm".
std::string_view name_of(InputNormalisation how);
/// Throws, listing the names, on anything else.
InputNormalisation parse_input_normalisation(std::string_view text);

/// Rows as the autoencoder sees them, and the two numbers of each row that bring a reconstruction back into the model's
/// own units: 0 and 1 where nothing was done. A row without spread (unit_norm: without length) becomes zeros.
struct NormalisedRows {
  Tensor rows;  // [rows, width]
  Tensor mean;  // [rows]
  Tensor norm;  // [rows]
};

/// x [rows, width] f32 or f64; not recorded on a tape. Sums are in double.
NormalisedRows normalise(const Tensor& x, InputNormalisation how);
/// y * norm + mean for each row.
Tensor denormalise(const Tensor& y, const Tensor& mean, const Tensor& norm);

/// The same in place, on this thread alone: what a reader that runs ahead applies to its batches, beside the threads of
/// the training step.
void normalise_in_place(float* x, int64_t rows, int64_t width, InputNormalisation how);

}  // namespace sae
