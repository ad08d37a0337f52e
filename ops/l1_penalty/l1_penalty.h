#pragma once

#include "engine/tape.h"

namespace sae {

/// loss = mean over rows of (sum over columns of |z|) / norm[row], shape [1]: the penalty of the code that Gao
/// et al. released, with norm the length of the input's row.
///   z [rows, cols] in any layout; row_norms: a constant with `rows` elements of z's dtype, or undefined, which stands
///   for 1 everywhere.
/// Backward, with g the gradient of the loss: dz = g sign(z) / (rows norm[row]), in the layout and pattern of z;
/// sign(0) is 0. Sums run in double, in an order that does not depend on the number of threads. No rows: loss 0. Throws
/// where a norm is not above 0, and on sizes and dtypes that do not fit.
Variable l1_penalty(const Variable& z, const Tensor& row_norms = Tensor());

}  // namespace sae
