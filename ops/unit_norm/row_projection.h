#pragma once

#include <cmath>
#include <cstdint>

#include "engine/row_kernels.h"

// The two halves of the constraint that each row of a decoder has length 1 (Gao et al. 2024), for one row at a time, so
// that an optimiser can apply them to a row while it has it in its hands. Float and double.

namespace sae {

/// gradient -= (gradient . row) row: what remains is orthogonal to the row, if the row has length 1.
template <class T>
void remove_parallel(T* gradient, const T* row, int64_t width) {
  add_scaled(gradient, -dot(gradient, row, width), row, width);
}

/// Scales the row to length 1 and returns the length it had. A row of zeros stays as it is.
template <class T>
T normalise_row(T* row, int64_t width) {
  const T length = std::sqrt(dot(row, row, width));
  if (length == 0) return length;
  scale_row(row, T{1} / length, width);
  return length;
}

}  // namespace sae
