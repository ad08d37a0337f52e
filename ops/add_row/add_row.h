#pragma once

#include "engine/tape.h"

namespace sae {

/// y = x + b, the same b for every row.
///   x dense [rows, cols]; b dense with cols elements, [cols] or [1, cols]; y dense [rows, cols].
/// Backward, with g the gradient of y in any layout:
///   dx = g, in the layout in which it came;  db = the sum over the rows of g [1, cols], in row order, in double.
/// Where x is a constant, only that sum is asked for (Node::column_sum_suffices).
/// Cost: one read of x and one write of y. Throws on another layout, and on shapes and dtypes that do not fit.
Variable add_row(const Variable& x, const Variable& b);

}  // namespace sae
