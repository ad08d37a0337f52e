#pragma once

#include "engine/tape.h"

namespace sae {

/// y = max(x, 0), in the layout and pattern of x (0 stays 0, so stored entries are all there is to do). A NaN stays a
/// NaN, so that the loss shows it.
/// Backward, with g the gradient of y: dx = g where y > 0, else 0; the derivative at 0 is 0. Layouts:
///   y dense:   g dense, row-sparse or compressed; dx in the layout and pattern of g.
///   y sparse:  g over the same pattern (by memory), as every gradient of a sparse value; dx likewise.
/// Cost: one read and one write of the stored elements.
Variable relu(const Variable& x);

/// The same values with only the positive ones stored: x dense [rows, cols], y compressed rows, columns ascending.
/// NaNs are stored too.
/// Backward: g over the pattern of y (by memory) is passed on as it is, a compressed gradient of x: every stored entry
/// is positive, and every other place has derivative 0. Nothing of x's size is written, forward or backward.
/// Cost: one read of x, which leaves one bit per element; a second look at the words that have a bit set.
Variable relu_compressed(const Variable& x);

}  // namespace sae
