#pragma once

#include "engine/tape.h"

namespace sae {

/// loss = half the sum of the squares of w, shape [1] (Ng, CS294A). w dense of any shape. Backward: dw = g w, dense:
/// the gradient of every element is written, so this suits small models. The sum runs in double, in an order that does
/// not depend on the number of threads.
Variable weight_decay(const Variable& w);

}  // namespace sae
