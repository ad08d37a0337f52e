#pragma once

#include <cstdint>

#include "ops/matmul/matmul.h"

namespace sae::cpu {

/// Sizes of y [rows, cols] = op(a) op(b), summed over `inner`. Stored a is [inner, rows] if transposed, else
/// [rows, inner]; stored b is [cols, inner] if transposed, else [inner, cols].
struct ProductSizes {
  int64_t rows, inner, cols;
  bool transpose_a, transpose_b;
};

/// What the product means: plain loops over float or double, `inner` ascending.
template <class T>
void reference_product(const T* a, const T* b, T* y, const ProductSizes& sizes);

/// How it is fast: oneDNN. Scratch for rounded or reordered factors comes from the device.
void onednn_product(Device& device, const float* a, const float* b, float* y, const ProductSizes& sizes,
                    Precision precision);

}  // namespace sae::cpu
