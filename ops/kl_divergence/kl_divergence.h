#pragma once

#include "engine/tape.h"

namespace sae {

/// The Kullback-Leibler divergence, in nats, of each row's softmax q from its softmax p:
///   d[r] = sum over j of p_j (log p_j - log q_j),  log p = x - log(sum of e^x), log q likewise.
///   p, q: scores before the softmax, [rows, classes] of one dtype, f32 or f64, finite; d [rows] of that dtype.
/// Equal rows give 0 exactly; rounding may leave a result of about -1e-6 where rows are nearly equal. Forward only: an
/// input on a tape is refused.
Tensor kl_divergence(const Variable& p, const Variable& q);

}  // namespace sae
