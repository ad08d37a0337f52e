#include "engine/lanes_simd.h"

namespace sae::cpu::SIMD_NAMESPACE {

using namespace sae::SIMD_NAMESPACE;

/// maxima[strip * 16 + lane]: the largest value of that lane's columns in the strip. strip_width is a multiple of 16.
/// False if a value is not finite.
bool strip_maxima(const float* row, int64_t strips, int64_t strip_width, float* maxima) {
  lanes finite = {};  // x - x is 0 for a finite x, NaN otherwise; a NaN stays in the sum
  for (int64_t strip = 0; strip < strips; ++strip) {
    const float* part = row + strip * strip_width;
    lanes best = load(part);
    finite += best - best;
    for (int64_t i = lane_count; i < strip_width; i += lane_count) {
      const lanes value = load(part + i);
      finite += value - value;
      best = select(value > best, value, best);
    }
    store(maxima + strip * lane_count, best);
  }
  return sum_lanes(finite) == 0.0f;
}

/// Lists the blocks of 64 columns that hold a value >= threshold; returns how many.
int64_t blocks_at_least(const float* row, int64_t blocks, float threshold, int32_t* found) {
  const lanes limit = broadcast(threshold);
  int64_t count = 0;
  for (int64_t block = 0; block < blocks; ++block) {
    const float* part = row + block * 64;
    const int_lanes any =
        (load(part) >= limit) | (load(part + 16) >= limit) | (load(part + 32) >= limit) | (load(part + 48) >= limit);
    uint64_t words[8];
    __builtin_memcpy(words, &any, sizeof(words));
    const uint64_t hit =
        ((words[0] | words[1]) | (words[2] | words[3])) | ((words[4] | words[5]) | (words[6] | words[7]));
    found[count] = static_cast<int32_t>(block);
    count += hit != 0;  // branch-free: the slot is overwritten unless it counts
  }
  return count;
}

/// keys[col] orders like row[col] (0 and -0 alike), padded with the lowest key to a multiple of 16. False if a value is
/// not finite.
bool order_keys(const float* row, int64_t cols, int32_t* keys) {
  lanes finite = {};  // as above
  for (int64_t i = 0; i < cols; i += lane_count) {
    lanes value = {};
    if (i + lane_count <= cols) {
      value = load(row + i);
    } else {
      __builtin_memcpy(&value, row + i, static_cast<uint64_t>(cols - i) * sizeof(float));
    }
    finite += value - value;
    value += 0.0f;  // -0 becomes 0
    int_lanes bits;
    __builtin_memcpy(&bits, &value, sizeof(bits));
    const int_lanes key = bits ^ ((bits >> 31) & 0x7fffffff);
    __builtin_memcpy(keys + i, &key, sizeof(key));
  }
  for (int64_t i = cols; i % lane_count != 0; ++i) keys[i] = INT32_MIN;
  return sum_lanes(finite) == 0.0f;
}

int64_t count_at_least(const int32_t* keys, int64_t padded, int32_t threshold) {
  int_lanes count = {};
  const int_lanes limit = int_lanes{} + threshold;
  for (int64_t i = 0; i < padded; i += lane_count) {
    int_lanes key;
    __builtin_memcpy(&key, keys + i, sizeof(key));
    count -= key >= limit;
  }
  int64_t sum = 0;
  for (int lane = 0; lane < lane_count; ++lane) sum += count[lane];
  return sum;
}

}  // namespace sae::cpu::SIMD_NAMESPACE
