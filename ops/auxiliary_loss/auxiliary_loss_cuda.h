#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// out[i] = table[list[i]], zeros where list[i] is `rows`; table [rows, width].
SIMT_DECLARE(void gather_listed(const Stream& stream, const float* table, int64_t rows, int64_t width,
                                const int32_t* list, int64_t listed, float* out))

/// pre [rows, listed], in place: of pre + bias the k largest of each row where they are positive, 0 elsewhere. A place
/// whose list[i] is `latents` counts as below all others. Scratch of rows * k columns and values.
SIMT_DECLARE(void keep_best(Device& device, float* pre, int64_t rows, int64_t listed, const float* bias,
                            const int32_t* list, int64_t latents, int64_t k))

/// error += residual, elementwise, [rows, width]; then, with s = 1 / the variance of the residual about its columns'
/// means (column_sums [width]), *loss = s * mean of error^2 and *factor = 2 s / elements, by which the gradient of the
/// error is the error. s is 0 where the residual does not vary, and where nobody is dead: *list is `latents`.
SIMT_DECLARE(void auxiliary_error(Device& device, const float* residual, const float* column_sums, int64_t rows,
                                  int64_t width, const int32_t* list, int64_t latents, float* error, float* loss,
                                  float* factor))

/// out = *factor weight error.
SIMT_DECLARE(void scale_error(const Stream& stream, const float* error, const float* factor, float weight, float* out,
                              int64_t count))

}  // namespace sae
