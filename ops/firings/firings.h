#pragma once

#include <cstdint>
#include <vector>

#include "engine/layout.h"

namespace sae {

/// [cols]: the number of rows in which each column holds a value above `above`. Any layout without repeated columns.
std::vector<int64_t> count_firings(const Value& latents, double above = 0);

}  // namespace sae
