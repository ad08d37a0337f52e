#include "ops/relu/relu_cpu.h"

#include <algorithm>
#include <bit>

#include "engine/parallel.h"

namespace sae::cpu {

template <class T>
void relu(const T* x, T* y, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = x[i] <= 0 ? T{0} : x[i];
  });
}

template <class T>
void relu_backward(const T* y, const T* g, T* out, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T value = g[i];  // read whether it is kept or not: a conditional read would be a jump
      out[i] = y[i] > 0 ? value : T{0};
    }
  });
}

int64_t mark_positive(const float* x, int64_t cols, uint64_t* words) {
  return SIMD_CALL(mark_positive, x, cols, words);
}

int64_t mark_positive(const double* x, int64_t cols, uint64_t* words) {
  int64_t count = 0;
  for (int64_t first = 0; first < cols; first += 64) {
    uint64_t word = 0;
    for (int64_t col = first; col < std::min(first + 64, cols); ++col) {
      if (!(x[col] <= 0)) word |= uint64_t{1} << (col - first);
    }
    words[first / 64] = word;
    count += std::popcount(word);
  }
  return count;
}

void gather_positive(const float* x, const uint64_t* words, int64_t cols, int64_t count, int32_t* index,
                     float* values) {
  SIMD_CALL(gather_positive, x, words, cols, count, index, values);
}

void gather_positive(const double* x, const uint64_t* words, int64_t cols, int64_t, int32_t* index, double* values) {
  for (int64_t w = 0; w < words_per_row(cols); ++w) {
    for (uint64_t word = words[w]; word != 0; word &= word - 1) {
      const int64_t col = w * 64 + std::countr_zero(word);
      *index++ = static_cast<int32_t>(col);
      *values++ = x[col];
    }
  }
}

template <class T>
void mark_positive_rows(const T* x, int64_t rows, int64_t cols, uint64_t* words, int64_t* offsets) {
  offsets[0] = 0;
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      offsets[row + 1] = mark_positive(x + row * cols, cols, words + row * words_per_row(cols));
    }
  });
  for (int64_t row = 0; row < rows; ++row) offsets[row + 1] += offsets[row];
}

template <class T>
void gather_positive_rows(const T* x, int64_t rows, int64_t cols, const uint64_t* words, const int64_t* offsets,
                          int32_t* index, T* values) {
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      gather_positive(x + row * cols, words + row * words_per_row(cols), cols, offsets[row + 1] - offsets[row],
                      index + offsets[row], values + offsets[row]);
    }
  });
}

template void relu<float>(const float*, float*, int64_t);
template void relu_backward<float>(const float*, const float*, float*, int64_t);
template void mark_positive_rows<float>(const float*, int64_t, int64_t, uint64_t*, int64_t*);
template void gather_positive_rows<float>(const float*, int64_t, int64_t, const uint64_t*, const int64_t*, int32_t*,
                                          float*);
template void relu<double>(const double*, double*, int64_t);
template void relu_backward<double>(const double*, const double*, double*, int64_t);
template void mark_positive_rows<double>(const double*, int64_t, int64_t, uint64_t*, int64_t*);
template void gather_positive_rows<double>(const double*, int64_t, int64_t, const uint64_t*, const int64_t*, int32_t*,
                                           double*);

}  // namespace sae::cpu
