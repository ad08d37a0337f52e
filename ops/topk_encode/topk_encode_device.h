#pragma once

#include "ops/topk_encode/topk_encode.h"
#include "ops/topk_encode/topk_encode_cuda.h"

namespace sae::on_device {

/// topk_encode of constants on simt and cuda, for which nobody waits: what it found is added to *words, in memory of
/// the device. Shapes, dtypes and devices must fit.
RowSparse topk_encode(const Tensor& x, const Tensor& encoder, const Tensor& bias, int64_t k,
                      const EncodeOptions& options, EncodeWords* words);

}  // namespace sae::on_device
