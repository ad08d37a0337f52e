#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

// What sigmoid_cpu.h computes, on the other devices.

SIMT_DECLARE(template <class T> void sigmoid(const Stream& stream, const T* x, T* y, int64_t count))

SIMT_DECLARE(template <class T>
             void sigmoid_backward(const Stream& stream, const T* y, const T* g, T* out, int64_t count))

}  // namespace sae
