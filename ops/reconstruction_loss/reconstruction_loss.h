#pragma once

#include "engine/tape.h"

namespace sae {

struct ReconstructionLoss {
  Variable loss;    ///< [1]
  Tensor residual;  ///< y - x, [rows, width]
};

/// How far a sparse code is from the data it stands for, in one pass over the dictionary:
///   y = z D + b,  loss = scale * mean over all elements of (y - x)^2
///   z row-sparse or compressed [rows, latents]; D dense [latents, width]; b [width]; x dense [rows, width], a
///   constant.
/// The same as normalised_mse(add_row(matmul(z, D), b), x, scale), but while the rows of D that a row of z uses are in
/// the cache, their products with the residual are taken too, which backward needs: D is larger than the cache, and
/// fetching its rows twice is what the separate operations spend their time on.
/// Backward, with g the gradient of the loss, f = g 2 scale / elements and e = y - x:
///   dz = f e D^T at the stored places of z;  dD = (f z)^T e, deferred;  db = f times the sum over the rows of e.
/// Sums over stored entries run in the order in which they are stored; squares are summed in the dtype within a row, in
/// double over the rows, in row order. No elements: loss 0. Throws on a dense z, and on shapes and dtypes that do not
/// fit.
ReconstructionLoss reconstruction_loss(const Variable& z, const Variable& dictionary, const Variable& bias,
                                       const Tensor& x, double scale);

}  // namespace sae
