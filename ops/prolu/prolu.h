#pragma once

#include "engine/tape.h"

namespace sae {

/// ProLU's gate has no derivative of use, so Taggart (2024) defines pseudo-gradients for it.
enum class ProluGradient { relu, straight_through };

/// y = m where m + b > 0 and m > 0, else 0 (Taggart 2024, "ProLU: a nonlinearity for sparse autoencoders"): the bias
/// opens the gate and does not shift what passes. A NaN in m stays a NaN.
///   m dense [rows, cols]: the encoder's product without a bias; b [cols], the same for every row; y dense.
/// Backward, with g the gradient of y in any layout, on the places where y > 0 (elsewhere both are 0):
///   relu:              dm = g,            db = the sum over the rows of g
///   straight_through:  dm = g (1 + m),    db = the sum over the rows of g m
/// dm has the layout and pattern of g. relu_compressed(prolu(...)) stores only the open gates, and costs another read.
/// Cost: one read and one write; saves y. Throws on another layout, and on shapes and dtypes that do not fit.
Variable prolu(const Variable& m, const Variable& b, ProluGradient gradient);

}  // namespace sae
