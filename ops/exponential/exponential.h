#pragma once

#include "engine/tape.h"

namespace sae {

/// y = e^x, element by element; x and y dense. For parameters that must stay above 0 and are trained as their
/// logarithm (thresholds, scales). Backward: dx = g y, g dense.
Variable exponential(const Variable& x);

}  // namespace sae
