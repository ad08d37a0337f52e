#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// The rows of a layer norm and what they are scaled and shifted by.
template <class T>
struct LayerNormRows {
  const T* x;  // [rows, width]
  int64_t rows, width;
  const T* gain;  // [width]
  const T* bias;  // [width]
  T epsilon;
};

/// y [rows, width]; T, Out: float, float or bfloat16, or double.
SIMT_DECLARE(template <class T, class Out> void layer_norm(const Stream& stream, const LayerNormRows<T>& rows, Out* y))

}  // namespace sae
