#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// close[col] = the number of rows of x [rows, cols] within half the bandwidth of the column's threshold; loss[0] = the
/// mean over the rows of the number of columns above their thresholds, 0 for no rows.
SIMT_DECLARE(template <class T> void l0_penalty(Device& device, const T* x, const T* threshold, T bandwidth,
                                                int64_t rows, int64_t cols, int32_t* close, T* loss))

/// out[col] = scale g[0] close[col].
SIMT_DECLARE(template <class T> void l0_penalty_backward(const Stream& stream, const int32_t* close, const T* g,
                                                         double scale, T* out, int64_t cols))

}  // namespace sae
