#include "engine/lanes_math_simd.h"

namespace sae::SIMD_NAMESPACE {
namespace {

float sum_of_squares(const float* x, int64_t width) {
  lanes sums[4] = {};
  int64_t j = 0;
  for (; j + 4 * lane_count <= width; j += 4 * lane_count) {
    for (int part = 0; part < 4; ++part) {
      const lanes value = load(x + j + part * lane_count);
      sums[part] += value * value;
    }
  }
  for (; j < width; j += lane_count) {
    const lanes value = load_first(x + j, width - j < lane_count ? width - j : lane_count);
    sums[0] += value * value;
  }
  return sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <class To>
void normalise_row(const float* x, const float* gain, int64_t width, float epsilon, To* y) {
  const float mean = sum_of_squares(x, width) / static_cast<float>(width);
  const lanes scale = broadcast(1.0f / __builtin_sqrtf(mean + epsilon));
  int64_t j = 0;
  for (; j + lane_count <= width; j += lane_count) store_wide(y + j, load(gain + j) * (load(x + j) * scale));
  if (j < width) {
    store_first(y + j, load_first(gain + j, width - j) * (load_first(x + j, width - j) * scale), width - j);
  }
}

}  // namespace

void rms_norm_row(const float* x, const float* gain, int64_t width, float epsilon, float* y) {
  normalise_row(x, gain, width, epsilon, y);
}

void rms_norm_row(const float* x, const float* gain, int64_t width, float epsilon, uint16_t* y) {
  normalise_row(x, gain, width, epsilon, y);
}

}  // namespace sae::SIMD_NAMESPACE
