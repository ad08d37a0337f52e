#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// The columns (ascending) and values of the k best entries of each row of x [rows, cols]. Returns the first row that
/// holds a NaN or an infinity, or -1; waits for that.
SIMT_DECLARE(template <class T> int64_t choose_best(Device& device, const T* x, int64_t rows, int64_t cols, int64_t k,
                                                    int32_t* columns, T* values))

/// to [rows, cols], which holds zeros, gets from [rows, cols] at the listed columns [rows, k] of each row.
SIMT_DECLARE(template <class T> void copy_chosen(const Stream& stream, const int32_t* columns, int64_t rows, int64_t k,
                                                 const T* from, int64_t cols, T* to))

}  // namespace sae
