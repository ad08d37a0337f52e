#pragma once

#include "engine/tape.h"

namespace sae {

/// y = x where x > threshold of its column, else 0 (Rajamanoharan et al. 2024, "Jumping Ahead", eq. 3). A NaN stays a
/// NaN.
///   x dense [rows, cols]; threshold dense [cols], above 0; bandwidth: the width of the kernel, 0 or more.
///   jump_relu: y dense. jump_relu_compressed: y compressed rows. It stores every x above threshold - bandwidth / 2:
///   those not above the threshold as a 0, because the threshold has a gradient there. Without a tape, give bandwidth 0
///   and nothing but the active places is stored.
/// Backward, with g the gradient of y (compressed: over y's pattern; dense: in any layout):
///   dx = g where x > threshold, else 0, in the layout and pattern of g
///   dthreshold[j] = - threshold[j] / bandwidth * the sum of g[., j] over the rows where
///                   |x[., j] - threshold[j]| < bandwidth / 2
/// The second is a pseudo-gradient (the paper's eq. 11, a rectangle for the kernel): the derivative of the expected
/// loss, estimated from what lies near the threshold. bandwidth 0: no gradient of the threshold.
/// Cost: jump_relu one read and one write, jump_relu_compressed two reads; both save x, compressed only what is stored.
/// Throws on a threshold that is not above 0, naming its column, and on layouts, shapes and dtypes that do not fit.
Variable jump_relu(const Variable& x, const Variable& threshold, double bandwidth);
Variable jump_relu_compressed(const Variable& x, const Variable& threshold, double bandwidth);

}  // namespace sae
