#include "engine/lanes_math_simd.h"

namespace sae::SIMD_NAMESPACE {

float largest(const float* x, int64_t count) {
  lanes top = broadcast(x[0]);
  int64_t j = 0;
  for (; j + lane_count <= count; j += lane_count) top = max_lanes(top, load(x + j));
  float result = largest_lane(top);
  for (; j < count; ++j) result = x[j] > result ? x[j] : result;
  return result;
}

float sum_of_exp(const float* x, int64_t count, float shift) {
  lanes sums[2] = {};
  int64_t j = 0;
  for (; j + 2 * lane_count <= count; j += 2 * lane_count) {
    sums[0] += exp_lanes(load(x + j) - shift);
    sums[1] += exp_lanes(load(x + j + lane_count) - shift);
  }
  for (; j < count; j += lane_count) {
    const int64_t left = count - j < lane_count ? count - j : lane_count;
    float part[16];
    store(part, exp_lanes(load_first(x + j, left) - shift));
    sums[0] += load_first(part, left);
  }
  return sum_lanes(sums[0] + sums[1]);
}

}  // namespace sae::SIMD_NAMESPACE
