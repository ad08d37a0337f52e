#pragma once

#include "engine/stream.h"

namespace sae {

/// Every thread of one block adds 1.
SIMT_DECLARE(void count_block(const Stream& stream, int* counter, unsigned threads))

}  // namespace sae
