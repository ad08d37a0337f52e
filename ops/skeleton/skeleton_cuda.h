#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

// What skeleton_cpu.h computes, on the other devices: one declaration for simt and cuda, pointers to their memory.

SIMT_DECLARE(template <class T> void skeleton(const Stream& stream, const T* x, T slope, T* y, int64_t count))

SIMT_DECLARE(template <class T>
             void skeleton_backward(const Stream& stream, const T* x, const T* g, T slope, T* out, int64_t count))

}  // namespace sae
