#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// Sizes of y [rows, cols] = op(a) op(b), summed over `inner`. Stored a is [inner, rows] if transposed, else
/// [rows, inner]; stored b is [cols, inner] if transposed, else [inner, cols].
struct DenseProduct {
  int64_t rows = 0, inner = 0, cols = 0;
  bool transpose_a = false, transpose_b = false;
};

/// y = op(a) op(b), or y += that; factors float, double or bfloat16 (which is summed in float), y float or double.
/// cuda: cuBLASLt, its choice of algorithm kept for each shape; simt: plain loops, `inner` ascending.
SIMT_DECLARE(template <class Factor, class T> void dense_product(Device& device, const Factor* a, const Factor* b, T* y,
                                                                 const DenseProduct& sizes, bool accumulate = false))

}  // namespace sae
