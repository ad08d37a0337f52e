#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// values[i] = values[0] + ... + values[i], in place. cuda: CUB's scan; simt: the standard library. Scratch comes from
/// the device.
SIMT_DECLARE(void inclusive_sum(Device& device, int64_t* values, int64_t count))

}  // namespace sae
