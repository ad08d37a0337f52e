#include "engine/lanes_math_simd.h"

namespace sae::SIMD_NAMESPACE {

float largest_score(const float* x, int64_t count) {
  lanes top = broadcast(x[0]);
  int64_t j = 0;
  for (; j + lane_count <= count; j += lane_count) top = max_lanes(top, load(x + j));
  float result = largest_lane(top);
  for (; j < count; ++j) result = x[j] > result ? x[j] : result;
  return result;
}

void divergence_sums(const float* p, const float* q, int64_t count, float p_top, float q_top, float* sums) {
  lanes p_sum = {}, q_sum = {}, difference = {};
  int64_t j = 0;
  for (; j + lane_count <= count; j += lane_count) {
    const lanes from = load(p + j) - p_top, to = load(q + j) - q_top;
    const lanes weight = exp_lanes(from);
    p_sum += weight;
    q_sum += exp_lanes(to);
    difference += weight * (from - to);
  }
  if (j < count) {
    const int64_t left = count - j;
    const lanes from = load_first(p + j, left) - p_top, to = load_first(q + j, left) - q_top;
    const lanes weight = exp_lanes(from);
    float parts[3][16];
    store(parts[0], weight);
    store(parts[1], exp_lanes(to));
    store(parts[2], weight * (from - to));
    p_sum += load_first(parts[0], left);
    q_sum += load_first(parts[1], left);
    difference += load_first(parts[2], left);
  }
  sums[0] = sum_lanes(p_sum);
  sums[1] = sum_lanes(q_sum);
  sums[2] = sum_lanes(difference);
}

}  // namespace sae::SIMD_NAMESPACE
