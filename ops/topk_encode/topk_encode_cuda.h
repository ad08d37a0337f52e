#pragma once

#include <cstdint>

#include "engine/dtype.h"
#include "engine/stream.h"
#include "ops/topk_encode/encode_task.h"

namespace sae {

/// A matrix [rows, width] as the screening product reads it, and for each row upper bounds of its length and of what
/// the rounding took away. In memory of a device.
template <class Factor>
struct ScreenedMatrix {
  const Factor* elements = nullptr;
  const float* norms = nullptr;           // of the rounded rows
  const float* residual_norms = nullptr;  // all 0 for floats
};

/// What calls leave in memory of the device, added to what is there.
struct EncodeWords {
  int first_bad = 0x7fffffff;  // the first row with a score that is not finite
  int rescored = 0;            // scores computed in float32 after screening
  int whole_rows = 0;
};

/// The matrix in another precision, with its norms: elements, norms and residual_norms are written. A Factor of float
/// writes norms alone.
SIMT_DECLARE(template <class Factor> void screen_matrix(const Stream& stream, const float* matrix, int64_t rows,
                                                        int64_t width, Factor* elements, float* norms,
                                                        float* residual_norms))

/// The k best of every row by products in Factor: the tiles of scores, of some rows and some latents,
/// are filtered before the next ones are computed, and with `exact` the candidates are scored again in
/// float32. A row whose candidates do not fit is computed whole. Waits for nothing.
SIMT_DECLARE(template <class Factor> void encode_screened(Device& device, const EncodeTask<float>& task,
                                                          const ScreenedMatrix<Factor>& encoder, bool exact,
                                                          EncodeWords* words))

/// Every score of every row.
SIMT_DECLARE(template <class T> void encode_whole(Device& device, const EncodeTask<T>& task, EncodeWords* words))

}  // namespace sae
