#pragma once

#include <cstdint>

#include "engine/layout.h"
#include "engine/stream.h"

namespace sae {

/// sums[row] = (sum of |values| of the row) * weights[row], in double.
SIMT_DECLARE(template <class T> void weighted_magnitudes(const Stream& stream, SparseRows entries, const T* values,
                                                         const double* weights, double* sums))

/// out = sign(values) * weights[row].
SIMT_DECLARE(template <class T> void weighted_signs(const Stream& stream, SparseRows entries, const T* values,
                                                    const double* weights, T* out))

}  // namespace sae
