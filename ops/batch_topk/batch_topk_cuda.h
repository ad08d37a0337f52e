#pragma once

#include <cstdint>

#include "engine/layout.h"
#include "engine/stream.h"

namespace sae {

/// The `wanted` largest elements of x [rows, cols], 1 <= wanted <= elements: which they are is found without the host.
/// bad_row is then a row that holds a NaN or an infinity (the first), or -1; waits for that.
SIMT_DECLARE(template <class T> CompressedRows largest_of_batch(const Tensor& x, int64_t wanted, int64_t& bad_row))

}  // namespace sae
