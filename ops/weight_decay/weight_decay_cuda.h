#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// loss[0] = half the sum of the squares of w, in double: blocks of elements, then their sums.
SIMT_DECLARE(template <class T> void weight_decay(Device& device, const T* w, int64_t count, T* loss))

/// out[i] = g[0] w[i].
SIMT_DECLARE(template <class T>
             void weight_decay_backward(const Stream& stream, const T* w, const T* g, T* out, int64_t count))

}  // namespace sae
