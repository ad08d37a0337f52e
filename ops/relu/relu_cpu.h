#pragma once

#include <cstdint>

#include "engine/simd.h"

namespace sae {

// clang-format off
SIMD_DECLARE(int64_t mark_positive(const float* x, int64_t cols, uint64_t* words))
SIMD_DECLARE(void gather_positive(const float* x, const uint64_t* words, int64_t cols, int64_t count, int32_t* index, float* values))
// clang-format on

namespace cpu {

/// y = x where x > 0 or x is not a number, else 0.
template <class T>
void relu(const T* x, T* y, int64_t count);

/// out = g where y > 0, else 0.
template <class T>
void relu_backward(const T* y, const T* g, T* out, int64_t count);

/// Words of one bit for each element of a row: bit col % 64 of word col / 64.
inline int64_t words_per_row(int64_t cols) { return (cols + 63) / 64; }

/// One row's elements that are above 0 or not a number, as bits; returns their number.
int64_t mark_positive(const float* x, int64_t cols, uint64_t* words);
int64_t mark_positive(const double* x, int64_t cols, uint64_t* words);

/// One row's marked elements (`count` of them), columns ascending.
void gather_positive(const float* x, const uint64_t* words, int64_t cols, int64_t count, int32_t* index, float* values);
void gather_positive(const double* x, const uint64_t* words, int64_t cols, int64_t count, int32_t* index,
                     double* values);

/// Marks x [rows, cols] into words [rows, words_per_row(cols)], and writes the CSR offsets [rows + 1].
template <class T>
void mark_positive_rows(const T* x, int64_t rows, int64_t cols, uint64_t* words, int64_t* offsets);

/// Fills index and values [offsets[rows]] from the marks.
template <class T>
void gather_positive_rows(const T* x, int64_t rows, int64_t cols, const uint64_t* words, const int64_t* offsets,
                          int32_t* index, T* values);

}  // namespace cpu
}  // namespace sae
