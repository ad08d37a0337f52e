#pragma once

#include <cstdint>

namespace sae::cpu {

/// The sum over i < count of (a[i] - b[i])^2.
template <class T>
double squared_difference(const T* a, const T* b, int64_t count);

/// out[i] = factor * (a[i] - b[i]).
template <class T>
void scaled_difference(const T* a, const T* b, T factor, T* out, int64_t count);

/// Of x [rows, cols]: the sum of (x - column mean)^2, and the sum of x^2.
struct SquareSums {
  double about_mean = 0;
  double about_zero = 0;
};
template <class T>
SquareSums square_sums(const T* x, int64_t rows, int64_t cols);

/// The sum over rows of |a - b|^2 / |b|^2; the first row where b is zero, if any, goes to zero_row (else -1).
template <class T>
double relative_squares(const T* a, const T* b, int64_t rows, int64_t cols, int64_t& zero_row);

}  // namespace sae::cpu
