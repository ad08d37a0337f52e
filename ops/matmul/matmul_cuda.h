#pragma once

#include <cstdint>

#include "engine/layout.h"
#include "engine/stream.h"

namespace sae {

/// y [rows, width] = sum over the stored entries of a row of value * dense[column], in their order.
SIMT_DECLARE(template <class T> void sparse_product(const Stream& stream, SparseRows sparse, const T* values,
                                                    const T* dense, int64_t width, T* y))

/// out[entry] = g[row] . w[column] for every stored entry; a warp for each row.
SIMT_DECLARE(template <class T> void sampled_product(const Stream& stream, SparseRows pattern, const T* g, const T* w,
                                                     int64_t width, T* out))

}  // namespace sae
