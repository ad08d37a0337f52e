#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

// What prolu_cpu.h computes, on the other devices.

SIMT_DECLARE(template <class T>
             void prolu(const Stream& stream, const T* m, const T* b, T* y, int64_t rows, int64_t cols))

SIMT_DECLARE(template <class T> void prolu_backward(const Stream& stream, const T* y, const T* g, bool straight_through,
                                                    T* dm, T* db, int64_t count))

}  // namespace sae
