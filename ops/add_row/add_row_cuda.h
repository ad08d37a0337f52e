#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// y[row][col] = x[row][col] + b[col].
SIMT_DECLARE(template <class T>
             void add_row(const Stream& stream, const T* x, const T* b, T* y, int64_t rows, int64_t cols))

}  // namespace sae
