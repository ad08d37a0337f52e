#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// Adds to counts[column] the entries above `above`: entry e stands in column index[e], or without an index e % cols.
SIMT_DECLARE(template <class T> void add_firings(const Stream& stream, const T* values, const int32_t* index,
                                                 int64_t stored, int64_t cols, T above, int* counts))

}  // namespace sae
