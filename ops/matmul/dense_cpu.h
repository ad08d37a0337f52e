#pragma once

#include <cstdint>

#include "engine/dense_product_cuda.h"
#include "ops/matmul/matmul.h"

namespace sae::cpu {

using ProductSizes = DenseProduct;

/// What the product means: plain loops over float or double, `inner` ascending.
template <class T>
void reference_product(const T* a, const T* b, T* y, const ProductSizes& sizes);

/// y [cols] = a [inner] times b [inner, cols]: one read of b, as fast as memory. (oneDNN takes four times as long.)
/// Sums run over blocks of 256 rows, then over the blocks.
void row_product(const float* a, const float* b, int64_t inner, int64_t cols, float* y);

/// How it is fast: oneDNN. Scratch for rounded or reordered factors comes from the device.
void onednn_product(Device& device, const float* a, const float* b, float* y, const ProductSizes& sizes,
                    Precision precision);
/// Of rounded factors: read where they lie, whichever way they are to be transposed. Needs has_bf16_products().
void onednn_product(const bfloat16* a, const bfloat16* b, float* y, const ProductSizes& sizes);

}  // namespace sae::cpu
