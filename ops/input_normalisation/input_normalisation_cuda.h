#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// y [rows, width], mean and norm [rows] from x, as in input_normalisation.h; `scales` and `centres` say which of the
/// two is done (rows that are only centred are not asked for).
SIMT_DECLARE(template <class T> void normalise_input(const Stream& stream, const T* x, int64_t rows, int64_t width,
                                                     bool centres, bool scales, T* y, T* mean, T* norm))

/// x = y norm + mean for each row.
SIMT_DECLARE(template <class T> void denormalise_input(const Stream& stream, const T* y, const T* mean, const T* norm,
                                                       int64_t rows, int64_t width, T* x))

}  // namespace sae
