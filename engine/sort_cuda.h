#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// Sorts pairs by key, ascending and stably: where keys are equal, the order of the input stays. Keys lie in
/// [0, 2^key_bits). cuda: CUB's radix sort; simt: the standard library. Scratch comes from the device.
SIMT_DECLARE(void stable_sort_pairs(Device& device, const int32_t* keys, int32_t* sorted_keys, const int32_t* values,
                                    int32_t* sorted_values, int64_t count, int key_bits))

}  // namespace sae
