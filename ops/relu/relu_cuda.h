#pragma once

#include <cstdint>

#include "engine/layout.h"
#include "engine/stream.h"

namespace sae {

/// y[i] = x[i], or 0 where it is at most 0.
SIMT_DECLARE(template <class T> void relu(const Stream& stream, const T* x, T* y, int64_t count))

/// out[i] = g[i] where y[i] > 0, else 0.
SIMT_DECLARE(template <class T> void relu_backward(const Stream& stream, const T* y, const T* g, T* out, int64_t count))

/// The elements of x [rows, cols] that are positive or not a number. Waits for their number.
SIMT_DECLARE(template <class T> CompressedRows relu_compressed(const Tensor& x))

}  // namespace sae
