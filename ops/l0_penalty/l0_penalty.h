#pragma once

#include "engine/tape.h"

namespace sae {

/// loss = the mean over rows of the number of columns with x > threshold, shape [1]: the L0 of jump_relu
/// (Rajamanoharan et al. 2024, "Jumping Ahead", eq. 9).
///   x dense [rows, cols]; threshold dense [cols]; bandwidth of the kernel, above 0.
/// Backward, with g the gradient of the loss, a pseudo-gradient with a rectangle for the kernel (the paper's eq. 12):
///   dthreshold[j] = - g / (rows bandwidth) * the number of rows where |x[., j] - threshold[j]| < bandwidth / 2
///   x receives none.
/// Where the bandwidth is so small that no x falls into the kernel, the penalty moves nothing: choose it from the
/// spread of x. Cost: one read of x; saves a count for each column. No rows: loss 0. Throws on layouts, shapes and
/// dtypes that do not fit.
Variable l0_penalty(const Variable& x, const Variable& threshold, double bandwidth);

}  // namespace sae
