#pragma once

#include <cstdint>

#include "engine/layout.h"

namespace sae::cpu {

/// y [rows, width] = sum over the stored entries of a row of value * dense[column].
template <class T>
void sparse_product(const SparseRows& sparse, const T* values, const T* dense, int64_t width, T* y);

/// out[entry] = g[row] . w[column] for every stored entry.
template <class T>
void sampled_product(const SparseRows& pattern, const T* g, const T* w, int64_t width, T* out);

}  // namespace sae::cpu
