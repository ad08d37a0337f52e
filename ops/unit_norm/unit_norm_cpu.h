#pragma once

#include <cstdint>

namespace sae::cpu {

/// The first row whose length is not finite, or -1.
template <class T>
int64_t first_row_without_length(const T* matrix, int64_t rows, int64_t width);

template <class T>
void normalise_rows(T* matrix, int64_t rows, int64_t width);

/// out = gradient - (gradient . row) row
template <class T>
void remove_parallel_rows(const T* gradient, const T* matrix, int64_t rows, int64_t width, T* out);

}  // namespace sae::cpu
