#pragma once

#include <vector>

#include "engine/tensor.h"

namespace sae {

/// The gradients of several parameters, taken as one vector, no longer than `most` (Pascanu et al. 2013):
///   g <- g min(1, most / |g|),   |g|^2 = the sum over all tensors of the sum of squares.
/// f32 or f64, on one device. Where they are short enough, the same tensors come back. The sum runs in double, in an
/// order that does not depend on the number of threads. The length goes to `length` unless that is null.
/// Not recorded on a tape. Throws unless `most` is above 0.
std::vector<Tensor> clip_norm(std::vector<Tensor> gradients, double most, double* length = nullptr);

}  // namespace sae
