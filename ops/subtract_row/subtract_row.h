#pragma once

#include "engine/tape.h"

namespace sae {

/// y = x - b, the same b for every row.
///   x dense [rows, cols]; b dense with cols elements, [cols] or [1, cols]; y dense [rows, cols].
/// Backward, with g the gradient of y in any layout:
///   dx = g, in the layout in which it came;  db = minus the sum over the rows of g [1, cols], in row order, in double.
/// Where x is a constant (the data that a pre-bias is taken from), only that sum is asked for, and the product before
/// it may send [1, cols]: a whole matrix product becomes a matrix-vector product (Gao et al. 2024).
/// Cost: one read of x and one write of y. Throws on another layout, and on shapes and dtypes that do not fit.
Variable subtract_row(const Variable& x, const Variable& b);

}  // namespace sae
