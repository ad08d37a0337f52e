#pragma once

#include "engine/tape.h"

namespace sae {

/// loss = the sum over columns of KL(target || mean[j]), mean[j] the mean of z[., j] over the rows (Ng, CS294A: rho and
/// rho-hat), where KL(p || q) = p log(p / q) + (1 - p) log((1 - p) / (1 - q)); shape [1].
///   z dense [rows, cols], values between 0 and 1; 0 < target < 1.
/// Backward, with g the gradient of the loss: dz[i][j] = g / rows (- target / mean[j] + (1 - target) / (1 - mean[j])),
/// dense: the same for every row of a column.
/// Cost: one read of z, and one write of its size backward. No rows: loss 0. Throws where a column's mean is not above
/// 0 and below 1 (the latent is saturated), naming it, and on another layout.
Variable kl_sparsity(const Variable& z, double target);

}  // namespace sae
