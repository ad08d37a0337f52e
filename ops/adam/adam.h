#pragma once

#include "engine/parameter.h"

namespace sae {

/// Adam (Kingma and Ba 2015) with the paper's epsilon (Gao et al., appendix A: batch-averaged gradients are tiny, so a
/// usual epsilon would make the step depend on the scale of the loss).
struct AdamOptions {
  double learning_rate = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 6.25e-10;
};

/// What holds for each row of the parameter: nothing, or unit length (the decoder's latents, Gao et al., appendix A).
enum class RowConstraint { none, unit_norm };

/// The moments of one parameter, named after it ("decoder.first_moment"), so that a checkpoint finds them.
struct AdamState {
  explicit AdamState(const Parameter& parameter);
  Parameter first_moment;
  Parameter second_moment;
  int64_t step = 0;
};

/// One step on the parameter's gradient, whose terms are consumed as they are: the rows of a deferred product are
/// formed one at a time, grouped by latent, so that the [latents, width] gradient is never written. With g the gradient
/// and t the number of this step, for each row:
///   unit_norm:  g <- g - (g . w) w
///   m <- beta1 m + (1 - beta1) g,   v <- beta2 v + (1 - beta2) g^2
///   w <- w - learning_rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
///   unit_norm:  w <- w / |w|
/// The same terms in the same order give the same bits for any number of threads. The gradient is cleared. Throws if
/// there is none, and on a parameter that becomes NaN or infinite, naming it and the row.
void adam_step(Parameter& parameter, AdamState& state, const AdamOptions& options,
               RowConstraint constraint = RowConstraint::none);

}  // namespace sae
