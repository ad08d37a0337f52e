#pragma once

#include <cstdint>

namespace sae::cpu {

/// y[row][col] = m[row][col] where both it and m[row][col] + b[col] are above 0 or not a number, else 0.
template <class T>
void prolu(const T* m, const T* b, T* y, int64_t rows, int64_t cols);

/// Where y > 0, entry by entry: dm = g, db = g, or with straight_through dm = g (1 + y), db = g y; else 0.
template <class T>
void prolu_backward(const T* y, const T* g, bool straight_through, T* dm, T* db, int64_t count);

}  // namespace sae::cpu
