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

/// out[i] = table[list[i]], zeros where list[i] is `rows`; table [rows, width].
SIMT_DECLARE(void gather_listed(const Stream& stream, const float* table, int64_t rows, int64_t width,
                                const int32_t* list, int64_t listed, float* out))

/// pre [rows, listed], in place: of pre + bias the k largest of each row where they are positive, 0 elsewhere. A place
/// whose list[i] is `latents` counts as below all others. Scratch of rows * k columns and values.
SIMT_DECLARE(void keep_best(Device& device, float* pre, int64_t rows, int64_t listed, const float* bias,
                            const int32_t* list, int64_t latents, int64_t k))

/// error += residual, elementwise, [rows, width]; then, with s = 1 / the variance of the residual about its columns'
/// means (column_sums [width]), *loss = s * mean of error^2 and error *= 2 s weight / elements. s is 0 where the
/// residual does not vary, and where nobody is dead: *list is `latents`.
SIMT_DECLARE(void auxiliary_error(Device& device, const float* residual, const float* column_sums, int64_t rows,
                                  int64_t width, double weight, const int32_t* list, int64_t latents, float* error,
                                  float* loss))

}  // namespace sae
