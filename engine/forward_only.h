#pragma once

#include <string_view>

#include "engine/tape.h"

namespace sae {

/// The dense tensor behind an input of an op that has no backward. Throws, naming the op, where the input lies on a
/// tape: a gradient that silently stopped there would be wrong.
const Tensor& require_constant(std::string_view op, const Variable& input);

}  // namespace sae
