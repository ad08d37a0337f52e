#pragma once

#include <cstdint>

namespace sae::cpu {

/// y[row][col] = x[row][col] + b[col].
template <class T>
void add_row(const T* x, const T* b, T* y, int64_t rows, int64_t cols);

}  // namespace sae::cpu
