#pragma once

#include <cstdint>

#include "engine/gradient_cuda.h"
#include "ops/adam/adam_factors.h"

namespace sae {

/// One term of the gradient of a matrix [rows, width], any row of which can be formed on its own, in memory of a
/// device.
template <class T>
struct GradientTermRows {
  const T* dense = nullptr;   // [rows, width], or
  GroupedEntries groups;      // the stored entries by row,
  const T* values = nullptr;  // their values, null: all 1,
  const T* batch = nullptr;   // and the dense factor [batch, width]
};

inline constexpr int most_gradient_terms = 16;

/// Everything that the step of one matrix touches.
template <class T>
struct AdamMatrix {
  GradientTermRows<T> terms[most_gradient_terms];
  int term_count = 0;
  int64_t rows = 0, width = 0;
  AdamFactors<T> factors;
  const AdamFactors<T>* changing = nullptr;  // in memory of the device, in their place; null: none
  T *weights = nullptr, *first_moment = nullptr, *second_moment = nullptr;  // [rows, width]
  T* average = nullptr;                                                     // the same, or null: none is kept
  T decay = 0, fraction = 0;                                                // of the average
};

/// Rows of which a kernel with unit_norm keeps the gradient in shared memory are at most this long.
template <class T>
constexpr int64_t longest_unit_row() {
  return 192 * 1024 / static_cast<int64_t>(sizeof(T));
}

/// The whole of adam.h for every row, then its part in the moving average. *first_bad becomes the first row in which a
/// weight is no longer finite, if that is less than what is there. Waits for nothing.
SIMT_DECLARE(template <class T>
             void launch_adam_rows(const Stream& stream, const AdamMatrix<T>& matrix, bool unit_norm, int* first_bad))

/// The same. Returns that row, or -1; waits for it.
SIMT_DECLARE(template <class T> int64_t adam_rows(Device& device, const AdamMatrix<T>& matrix, bool unit_norm))

}  // namespace sae
