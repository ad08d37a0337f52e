#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// In double; waits for it.
SIMT_DECLARE(template <class T> double sum_of_squares(Device& device, const T* x, int64_t count))

/// out[i] = factor x[i]
SIMT_DECLARE(template <class T> void scale_elements(const Stream& stream, const T* x, T factor, T* out, int64_t count))

}  // namespace sae
