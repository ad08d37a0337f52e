#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

// What unit_norm_cpu.h does, a warp for each row.

/// The first row whose length is not finite, or -1; waits for that.
SIMT_DECLARE(template <class T>
             int64_t first_row_without_length(Device& device, const T* matrix, int64_t rows, int64_t width))

SIMT_DECLARE(template <class T> void normalise_rows(const Stream& stream, T* matrix, int64_t rows, int64_t width))

/// out = gradient - (gradient . row) row
SIMT_DECLARE(template <class T> void remove_parallel_rows(const Stream& stream, const T* gradient, const T* matrix,
                                                          int64_t rows, int64_t width, T* out))

}  // namespace sae
