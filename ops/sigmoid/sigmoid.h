#pragma once

#include "engine/tape.h"

namespace sae {

/// y = 1 / (1 + e^-x), element by element (Ng, CS294A). x and y dense: at x = 0 it is 1/2, so a sparse layout, whose
/// other places are 0, cannot hold it.
/// Backward, with g the gradient of y in any layout: dx = g y (1 - y), in the layout and pattern of g.
/// Cost: one exponential an element; saves y. Throws on another layout.
Variable sigmoid(const Variable& x);

}  // namespace sae
