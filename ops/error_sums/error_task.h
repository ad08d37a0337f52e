#pragma once

#include <cstdint>

#include "engine/layout.h"

namespace sae {

/// What one call of ErrorSums::add works on.
template <class T>
struct ErrorTask {
  const T *x, *y;      // [rows, width]
  const double* mean;  // [width]
  int64_t rows, width;
  SparseRows entries;  // which of `latents` belong to each row; its columns are not read
  const T* latents;    // [stored]
  double* of_rows;     // [rows, 4]: what RowErrors holds, in its order
  double* sums;        // [2, width]: added to
};

}  // namespace sae
