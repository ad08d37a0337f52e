#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// loss[row] = log(sum of e^x) - x[target] of each row of x [rows, classes]; 0 where the target is below 0.
SIMT_DECLARE(template <class T> void cross_entropy(const Stream& stream, const T* x, const int32_t* target, T* loss,
                                                   int64_t rows, int64_t classes))

}  // namespace sae
