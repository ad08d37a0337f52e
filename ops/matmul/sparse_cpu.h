#pragma once

#include <cstdint>

#include "engine/layout.h"

namespace sae::cpu {

/// Either sparse layout as a kernel sees it: row r has the entries [begin(r), end(r)).
struct SparseRows {
  const int64_t* offsets = nullptr;  // [rows + 1], or null: `k` in each row
  const int32_t* index = nullptr;    // [stored]
  int64_t rows = 0;
  int64_t k = 0;
  int64_t begin(int64_t row) const { return offsets != nullptr ? offsets[row] : row * k; }
  int64_t end(int64_t row) const { return offsets != nullptr ? offsets[row + 1] : (row + 1) * k; }
};

/// y [rows, width] = sum over the stored entries of a row of value * dense[column].
template <class T>
void sparse_product(const SparseRows& sparse, const T* values, const T* dense, int64_t width, T* y);

/// out[entry] = g[row] . w[column] for every stored entry.
template <class T>
void sampled_product(const SparseRows& pattern, const T* g, const T* w, int64_t width, T* out);

}  // namespace sae::cpu
