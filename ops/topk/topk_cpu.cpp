#include "ops/topk/topk_cpu.h"

#include <algorithm>
#include <cmath>

namespace sae::cpu {

template <class T>
void choose(std::vector<Candidate<T>>& candidates, int64_t k, int32_t* columns, T* values) {
  const auto better = [](const Candidate<T>& a, const Candidate<T>& b) {
    return a.value > b.value || (a.value == b.value && a.column < b.column);
  };
  const auto end = candidates.begin() + k;
  if (end != candidates.end()) std::nth_element(candidates.begin(), end - 1, candidates.end(), better);
  std::sort(candidates.begin(), end, [](const auto& a, const auto& b) { return a.column < b.column; });
  for (int64_t j = 0; j < k; ++j) {
    columns[j] = candidates[static_cast<size_t>(j)].column;
    values[j] = candidates[static_cast<size_t>(j)].value;
  }
}

template <class T>
bool gather_candidates(const T* row, int64_t cols, std::vector<Candidate<T>>& candidates) {
  candidates.clear();
  for (int64_t column = 0; column < cols; ++column) {
    if (!std::isfinite(row[column])) return false;
    candidates.push_back({row[column], static_cast<int32_t>(column)});
  }
  return true;
}

bool filter_candidates(const float* row, int64_t cols, int64_t k, std::vector<Candidate<float>>& candidates) {
  // Four times as many groups as places: the bound is then close to the k-th value, and finding it stays cheap.
  const int64_t lane_groups = 16;
  const int64_t strips = (4 * k + lane_groups - 1) / lane_groups;
  const int64_t strip_width = cols / strips / lane_groups * lane_groups;
  if (strip_width < 2 * lane_groups) return gather_candidates(row, cols, candidates);

  thread_local std::vector<float> maxima;
  thread_local std::vector<int32_t> blocks;
  maxima.resize(static_cast<size_t>(strips * lane_groups));
  if (!SIMD_CALL(strip_maxima, row, strips, strip_width, maxima.data())) return false;
  std::nth_element(maxima.begin(), maxima.begin() + (k - 1), maxima.end(), std::greater<>());
  const float threshold = maxima[static_cast<size_t>(k - 1)];

  candidates.clear();
  const auto keep = [&](int64_t begin, int64_t end) {
    for (int64_t column = begin; column < end; ++column) {
      if (row[column] >= threshold) candidates.push_back({row[column], static_cast<int32_t>(column)});
    }
  };
  const int64_t whole = cols / filter_block;
  blocks.resize(static_cast<size_t>(whole) + 1);
  const int64_t found = SIMD_CALL(blocks_at_least, row, whole, threshold, blocks.data());
  for (int64_t i = 0; i < found; ++i) {
    const int64_t begin = blocks[static_cast<size_t>(i)] * filter_block;
    keep(begin, begin + filter_block);
  }
  for (int64_t column = strips * strip_width; column < cols; ++column) {
    if (!std::isfinite(row[column])) return false;  // the columns that no strip covered
  }
  keep(whole * filter_block, cols);
  return true;
}

bool choose_by_counting(const float* row, int64_t cols, int64_t k, int32_t* columns, float* values) {
  thread_local std::vector<int32_t> keys;
  const int64_t padded = (cols + 15) / 16 * 16;
  keys.resize(static_cast<size_t>(padded));
  if (!SIMD_CALL(order_keys, row, cols, keys.data())) return false;
  // The largest threshold that at least k keys reach, as the distance from the lowest integer.
  const auto key_at = [](uint32_t distance) { return static_cast<int32_t>(distance ^ 0x80000000u); };
  uint32_t threshold = 0;
  for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
    const int64_t count = SIMD_CALL(count_at_least, keys.data(), padded, key_at(threshold | bit));
    if (count >= k) threshold |= bit;
    if (count == k) break;
  }
  const int32_t lowest = key_at(threshold);
  int64_t ties = k;  // of the keys that equal the threshold, those that are kept
  if (lowest != INT32_MAX) ties -= SIMD_CALL(count_at_least, keys.data(), padded, lowest + 1);
  for (int64_t col = 0, kept = 0; kept < k; ++col) {
    const int32_t key = keys[static_cast<size_t>(col)];
    columns[kept] = static_cast<int32_t>(col);  // overwritten unless it counts
    values[kept] = row[col];
    const bool tie = key == lowest;
    kept += key > lowest || (tie && ties > 0);
    ties -= tie;
  }
  return true;
}

template void choose<float>(std::vector<Candidate<float>>&, int64_t, int32_t*, float*);
template void choose<double>(std::vector<Candidate<double>>&, int64_t, int32_t*, double*);
template bool gather_candidates<float>(const float*, int64_t, std::vector<Candidate<float>>&);
template bool gather_candidates<double>(const double*, int64_t, std::vector<Candidate<double>>&);

}  // namespace sae::cpu
