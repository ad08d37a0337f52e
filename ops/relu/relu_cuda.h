#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// y[i] = x[i], or 0 where it is at most 0.
SIMT_DECLARE(template <class T> void relu(const Stream& stream, const T* x, T* y, int64_t count))

/// out[i] = g[i] where y[i] > 0, else 0.
SIMT_DECLARE(template <class T> void relu_backward(const Stream& stream, const T* y, const T* g, T* out, int64_t count))

/// offsets [rows + 1] of the elements that are positive or not a number, in x [rows, cols].
SIMT_DECLARE(template <class T>
             void count_positive(Device& device, const T* x, int64_t rows, int64_t cols, int64_t* offsets))

/// Those elements and their columns, ascending, from offsets[row] on.
SIMT_DECLARE(template <class T> void gather_positive(const Stream& stream, const T* x, int64_t rows, int64_t cols,
                                                     const int64_t* offsets, int32_t* index, T* values))

}  // namespace sae
