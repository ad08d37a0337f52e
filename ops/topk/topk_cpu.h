#pragma once

#include <cstdint>
#include <vector>

#include "engine/simd.h"

namespace sae::cpu {

template <class T>
struct Candidate {
  T value;
  int32_t column;
};

/// Chooses the k best of `candidates` (larger value first, then lower column) and writes them with columns ascending.
/// Reorders `candidates`.
template <class T>
void choose(std::vector<Candidate<T>>& candidates, int64_t k, int32_t* columns, T* values);

/// What it means: every column is a candidate. False if a value is not finite.
template <class T>
bool gather_candidates(const T* row, int64_t cols, std::vector<Candidate<T>>& candidates);

/// How it is fast: the k-th largest of some disjoint groups' maxima is a lower bound of the row's k-th largest value,
/// so one vectorised pass keeps only the few values at or above it. Never drops a member and never overflows: where
/// many values tie, all of them are kept. False if a value is not finite.
bool filter_candidates(const float* row, int64_t cols, int64_t k, std::vector<Candidate<float>>& candidates);

/// How it is fast where k is no small part of the columns: the k-th largest value is found bit by bit by counting, then
/// everything above it is kept, and of what equals it the lowest columns. False if a value is not finite.
bool choose_by_counting(const float* row, int64_t cols, int64_t k, int32_t* columns, float* values);

// clang-format off
SIMD_DECLARE(bool order_keys(const float* row, int64_t cols, int32_t* keys))
SIMD_DECLARE(int64_t count_at_least(const int32_t* keys, int64_t padded, int32_t threshold))
SIMD_DECLARE(bool strip_maxima(const float* row, int64_t strips, int64_t strip_width, float* maxima))
SIMD_DECLARE(int64_t blocks_at_least(const float* row, int64_t blocks, float threshold, int32_t* found))
// clang-format on

/// Columns in one block of blocks_at_least.
constexpr int64_t filter_block = 64;

}  // namespace sae::cpu
