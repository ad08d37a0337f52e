#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// average = decay average + fraction value, element by element.
SIMT_DECLARE(template <class T> void average_elements(const Stream& stream, const T* value, T decay, T fraction,
                                                      T* average, int64_t count))

/// out = scale average
SIMT_DECLARE(template <class T>
             void scaled_average(const Stream& stream, const T* average, T scale, T* out, int64_t count))

}  // namespace sae
