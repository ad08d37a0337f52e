#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// to[i] = from[i] in another type, each of float, double and bfloat16.
SIMT_DECLARE(template <class From, class To>
             void convert_elements(const Stream& stream, const From* from, To* to, int64_t count))

}  // namespace sae
