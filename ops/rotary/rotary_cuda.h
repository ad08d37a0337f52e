#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

/// The heads of the rows of a matrix, as rotary() turns them: the first `dimensions` of the `head_dim` elements of each
/// of the first `heads` heads of a row, a pair `distance` elements apart. Row r stands at position r mod length.
struct RotaryRows {
  int64_t rows, cols, heads, head_dim, dimensions, distance, length;
};

/// Turns x [rows, cols] in place by the angles of cosine and sine [length, dimensions].
SIMT_DECLARE(template <class T>
             void rotary(const Stream& stream, const RotaryRows& rows, const T* cosine, const T* sine, T* x))

}  // namespace sae
