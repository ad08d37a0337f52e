#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// out[row] = the divergence of the softmax of a row of q from that of p, both [rows, classes].
SIMT_DECLARE(template <class T>
             void kl_divergence(const Stream& stream, const T* p, const T* q, T* out, int64_t rows, int64_t classes))

}  // namespace sae
