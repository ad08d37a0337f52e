#pragma once

#include <cstdint>

#include "engine/layout.h"
#include "engine/stream.h"

namespace sae {

/// y [rows, width] = sparse dense, with dense [dense_rows, width], by a library: cuda: cuSPARSE; simt: plain loops, the
/// entries of a row in their order. `sparse` has offsets, and `stored` entries in all, at most 2^31 - 1.
SIMT_DECLARE(template <class T> void csr_product(Device& device, SparseRows sparse, int64_t stored, const T* values,
                                                 const T* dense, int64_t dense_rows, int64_t width, T* y))

}  // namespace sae
