#pragma once

#include <cstdint>

#include "engine/layout.h"
#include "engine/stream.h"

namespace sae {

/// y[e] = x[e] where the column of entry e is below `count`, else 0.
SIMT_DECLARE(template <class T> void first_columns(const Stream& stream, EntryColumns columns, int64_t count,
                                                   const T* x, T* y, int64_t entries))

}  // namespace sae
