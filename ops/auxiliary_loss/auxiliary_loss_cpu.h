#pragma once

#include <cstdint>

#include "engine/dtype.h"

namespace sae::cpu {

/// The passes between the products. What a product reads is written as `Stored`: T itself, or bfloat16 for float.
template <class T, class Stored>
struct AuxiliaryKernels {
  /// centred = x - bias, row by row.
  static void centre_rows(const T* x, const T* bias, int64_t rows, int64_t width, Stored* centred);

  /// stored[i] = table[index[i]], each row `width` long.
  static void store_rows_at(const T* table, const int32_t* index, int64_t count, int64_t width, Stored* stored);

  /// active = relu of pre + bias where it is among the k largest of its row (ties to the lower column), else 0; `pre`
  /// is overwritten. Returns the first row that is not finite, or -1.
  static int64_t activate_rows(T* pre, const T* bias, int64_t rows, int64_t cols, int64_t k, Stored* active);

  /// missed += residual, and the same as `stored`. Returns the sum of the squares: within a row in T, over the rows in
  /// double.
  static double add_residual(T* missed, const T* residual, int64_t rows, int64_t width, Stored* stored);

  /// gradient = 0 where active is 0, and the same as `stored`.
  static void mask_rows(T* gradient, const Stored* active, int64_t rows, int64_t cols, Stored* stored);
};

}  // namespace sae::cpu
