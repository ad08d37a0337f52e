#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// out[row][col] = g[0] slopes[col] for every row.
SIMT_DECLARE(template <class T> void kl_sparsity_backward(const Stream& stream, const double* slopes, const T* g,
                                                          T* out, int64_t rows, int64_t cols))

}  // namespace sae
