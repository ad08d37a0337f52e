#pragma once

#include "engine/tape.h"

namespace sae {

/// y = a - b, element by element; both dense, of one shape and dtype. Backward: da = g, db = -g.
Variable subtract(const Variable& a, const Variable& b);

}  // namespace sae
