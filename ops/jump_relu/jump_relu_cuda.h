#pragma once

#include <cstdint>

#include "engine/layout.h"
#include "engine/stream.h"

namespace sae {

/// y = x unless x <= its column's threshold, else 0.
SIMT_DECLARE(template <class T> void jump_relu(const Stream& stream, EntryColumns columns, const T* x,
                                               const T* threshold, T* y, int64_t count))

/// Where a gradient g of jump_relu lies, and what it is taken at.
template <class T>
struct JumpReluGradient {
  EntryColumns columns;
  const T* x;          // [count]
  const T* threshold;  // [cols]
  T bandwidth;
  const T* g;  // [count]
  T* dx;       // [count]
  T* pull;     // [count]
  int64_t count;
};
/// dx = g where x > threshold, else 0; pull = g * -threshold / bandwidth where x is near the threshold, else 0.
SIMT_DECLARE(template <class T> void jump_relu_backward(const Stream& stream, const JumpReluGradient<T>& gradient))

/// The elements of x [rows, cols] that are not at most their column's threshold - bandwidth / 2. Waits for their
/// number.
SIMT_DECLARE(template <class T> CompressedRows above_kernel(const Tensor& x, const T* threshold, T bandwidth))

}  // namespace sae
