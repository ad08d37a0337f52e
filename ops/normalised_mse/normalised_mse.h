#pragma once

#include "engine/tape.h"

namespace sae {

/// loss = scale * mean over all elements of (prediction - target)^2, shape [1].
///   prediction, target: dense, of one shape and dtype. The target is a constant: nothing behind it gets a gradient.
///   scale: 1 / mean_square_about_mean(sample of the data), a constant of the run, makes this the normalised mean
///   squared error of Gao et al. (arXiv 2406.04093): always predicting the mean costs 1.
/// Backward, with g the gradient of the loss: dprediction = g 2 scale / elements (prediction - target).
/// Differences are taken in the tensors' dtype and their squares summed in double, in an order that does not depend on
/// the number of threads. No elements: loss 0. Throws on another layout and on unequal shapes or dtypes.
Variable normalised_mse(const Variable& prediction, const Tensor& target, double scale);

/// The same with the scale 1 / mean_square_about_mean(target), taken anew from each batch: the auxiliary loss of
/// Gao et al. Where all rows of the target are equal, it is 0 and so is its gradient.
Variable batch_normalised_mse(const Variable& prediction, const Tensor& target);

/// mean over all elements of (x - mean over the rows of x)^2, in double. Exactly 0 where it is below the rounding error
/// of a column mean (all rows equal), and where there are no elements.
double mean_square_about_mean(const Tensor& x);

/// The uncentred per-token metric of the code that Gao et al. released: the mean over rows of |prediction - target|^2 /
/// |target|^2, in double. Not to be mixed up with the above: on data with a large mean it is far smaller. Throws,
/// naming it, on a row of zeros, which has no such ratio, and where there are no rows.
double per_row_normalised_mse(const Tensor& prediction, const Tensor& target);

}  // namespace sae
