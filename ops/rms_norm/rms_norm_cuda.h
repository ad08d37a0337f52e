#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// Vectors that are normalised each on its own: in each of `rows` rows of `cols` columns, `in_row` of `width` elements
/// that follow each other from column `first` on.
struct NormVectors {
  int64_t rows, cols, first, in_row, width;
};

/// y = gain x / sqrt(mean of x^2 + epsilon) of each vector; y may be x. T, Out: float, float or bfloat16, or double.
SIMT_DECLARE(template <class T, class Out> void rms_norm(const Stream& stream, const NormVectors& vectors, const T* x,
                                                         const T* gain, T epsilon, Out* y))

}  // namespace sae
