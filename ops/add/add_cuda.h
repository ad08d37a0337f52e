#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// y [rows, cols] += b [period, cols], whose rows repeat.
SIMT_DECLARE(template <class T>
             void add(const Stream& stream, T* y, const T* b, int64_t rows, int64_t cols, int64_t period))

}  // namespace sae
