#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// y[i] = a[i] - b[i].
SIMT_DECLARE(template <class T> void subtract(const Stream& stream, const T* a, const T* b, T* y, int64_t count))

}  // namespace sae
