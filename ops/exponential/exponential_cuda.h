#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// y[i] = e^x[i].
SIMT_DECLARE(template <class T> void exponential(const Stream& stream, const T* x, T* y, int64_t count))

/// out[i] = g[i] y[i].
SIMT_DECLARE(template <class T>
             void exponential_backward(const Stream& stream, const T* y, const T* g, T* out, int64_t count))

}  // namespace sae
