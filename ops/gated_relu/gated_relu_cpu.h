#pragma once

#include <cstdint>

namespace sae::cpu {

/// z = max(scale[col] u + bias[col], 0) unless u + gate[col] <= 0, else 0; a NaN stays.
template <class T>
void gated_relu(const T* u, const T* gate, const T* scale, const T* bias, T* z, int64_t rows, int64_t cols);

/// Where z > 0: passed = g, times_u = g u; else both 0.
template <class T>
void gated_relu_backward(const T* z, const T* u, const T* g, T* passed, T* times_u, int64_t count);

/// out = values times the scale of their column; `columns` null: a dense matrix with `cols` columns.
template <class T>
void scale_columns(const T* values, const int32_t* columns, const T* scale, int64_t cols, T* out, int64_t count);

}  // namespace sae::cpu
