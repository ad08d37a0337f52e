#pragma once

#include "engine/tape.h"

namespace sae {

/// A target that is none: the row's loss is 0.
constexpr int32_t no_target = -1;

/// The negative log-probability, in nats, of each row's target under a softmax:
///   loss[r] = log(sum over j of e^(x[r, j])) - x[r, target[r]], by way of the row's largest entry.
///   x [rows, classes] f32 or f64, target [rows] i32 in [0, classes) or no_target; loss [rows] of x's dtype.
/// Throws on a target out of range, for which it waits for the targets. Forward only: an input on a tape is refused.
Tensor cross_entropy(const Variable& x, const Tensor& target);

}  // namespace sae
