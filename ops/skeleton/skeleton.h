#pragma once

#include "engine/tape.h"

namespace sae {

// The template of an activation function, compiled and tested: README.md in ops/ says how to copy it. What it computes
// is a leaky ReLU. Replace this paragraph by what a reader of your op must know.

/// y = x where x > 0, else slope x, in the layout and pattern of x: f(0) = 0, so the places that a sparse layout does
/// not store stay 0. (An op with f(0) != 0 takes dense tensors only: see require_dense in engine/layout.h.)
///
/// Backward, with g the gradient of y: dx = g where x > 0, else slope g. Layouts:
///   x dense:   g in any layout; dx in the layout and pattern of g.
///   x sparse:  g over the pattern of x (by memory); dx likewise.
///
/// Cost: one read and one write of the stored elements; saves x. Throws unless 0 <= slope < 1.
Variable skeleton(const Variable& x, double slope = 0.01);

}  // namespace sae
