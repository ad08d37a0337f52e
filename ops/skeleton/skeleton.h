#pragma once

#include "engine/tape.h"

namespace sae {

// This folder is a template. To add an activation function `foo`:
//   1. cp -r ops/skeleton ops/foo, cp tests/ops/skeleton_test.cpp tests/ops/foo_test.cpp, and rename inside both.
//   2. Write its formula in foo_cpu.cpp (value and derivative) and its contract here.
//   3. Write its values by hand into the test, and add the line add_op(foo) to ops/CMakeLists.txt.
// What this op computes is a leaky ReLU.

/// y = x where x > 0, else slope x. In the layout and pattern of x: f(0) = 0, so the places that a sparse layout does
/// not store stay 0. (An op with f(0) != 0 takes dense tensors only: see require_dense in engine/layout.h.) Backward,
/// with g the gradient of y: dx = g where x > 0, else slope g. Layouts:
///   x dense:   g in any layout; dx in the layout and pattern of g.
///   x sparse:  g over the pattern of x (by memory); dx likewise.
/// Cost: one read and one write of the stored elements; saves x. Throws unless 0 <= slope < 1.
Variable skeleton(const Variable& x, double slope = 0.01);

}  // namespace sae
