#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// For each latent: 0 where fired[j] > 0, else `rows` more. Adds the fired counts to *active.
SIMT_DECLARE(void count_rows_since_fired(const Stream& stream, const int32_t* fired, int64_t latents, int64_t rows,
                                         int64_t* rows_since_fired, int* active))

/// The latents that did not fire for dead_after rows, ascending: the first `capacity` of them, and `latents` in the
/// places that are left. *dead is how many there are in all. Waits for nothing.
SIMT_DECLARE(void list_dead(Device& device, const int64_t* rows_since_fired, int64_t latents, int64_t dead_after,
                            int32_t* list, int64_t capacity, int* dead))

}  // namespace sae
