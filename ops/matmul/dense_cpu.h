#pragma once

#include <cstdint>

#include "engine/dense_product_cuda.h"
#include "ops/matmul/matmul.h"

namespace sae::cpu {

using ProductSizes = DenseProduct;

/// What the product means: plain loops over float or double, `inner` ascending.
template <class T>
void reference_product(const T* a, const T* b, T* y, const ProductSizes& sizes);

/// How it is fast: oneDNN. Scratch for rounded or reordered factors comes from the device.
void onednn_product(Device& device, const float* a, const float* b, float* y, const ProductSizes& sizes,
                    Precision precision);

}  // namespace sae::cpu
