#pragma once

#include <cstdint>

#include "engine/layout.h"
#include "engine/stream.h"

namespace sae {

// What gated_relu_cpu.h computes, on the other devices.

SIMT_DECLARE(template <class T> void gated_relu(const Stream& stream, const T* u, const T* gate, const T* scale,
                                                const T* bias, T* z, int64_t rows, int64_t cols))

SIMT_DECLARE(template <class T> void gated_relu_backward(const Stream& stream, const T* z, const T* u, const T* g,
                                                         T* passed, T* times_u, int64_t count))

SIMT_DECLARE(template <class T> void scale_columns(const Stream& stream, const T* values, EntryColumns columns,
                                                   const T* scale, T* out, int64_t count))

}  // namespace sae
