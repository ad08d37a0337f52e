#include "engine/lanes_math_simd.h"

namespace sae::SIMD_NAMESPACE {
namespace {

struct Itself {
  lanes operator()(lanes value) const { return value; }
};
struct SquaredDifference {
  lanes mean;
  lanes operator()(lanes value) const { return (value - mean) * (value - mean); }
};

/// The sum over the row of term(x[j]), in four strands and then the rest.
template <class Term>
float sum_terms(const float* x, int64_t width, Term term) {
  lanes sums[4] = {};
  int64_t j = 0;
  for (; j + 4 * lane_count <= width; j += 4 * lane_count) {
    for (int part = 0; part < 4; ++part) sums[part] += term(load(x + j + part * lane_count));
  }
  for (; j + lane_count <= width; j += lane_count) sums[0] += term(load(x + j));
  if (j < width) {
    float last[16] = {};
    store(last, term(load_first(x + j, width - j)));
    sums[1] += load_first(last, width - j);  // without the terms of the lanes beyond the row
  }
  return sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <class To>
void normalise_row(const float* x, const float* gain, const float* bias, int64_t width, float epsilon, To* y) {
  const auto count = static_cast<float>(width);
  const lanes mean = broadcast(sum_terms(x, width, Itself{}) / count);
  const float variance = sum_terms(x, width, SquaredDifference{mean}) / count;
  const lanes scale = broadcast(1.0f / __builtin_sqrtf(variance + epsilon));
  int64_t j = 0;
  for (; j + lane_count <= width; j += lane_count) {
    store_wide(y + j, load(gain + j) * ((load(x + j) - mean) * scale) + load(bias + j));
  }
  if (j < width) {
    const int64_t left = width - j;
    const lanes value = (load_first(x + j, left) - mean) * scale;
    store_first(y + j, load_first(gain + j, left) * value + load_first(bias + j, left), left);
  }
}

}  // namespace

void layer_norm_row(const float* x, const float* gain, const float* bias, int64_t width, float epsilon, float* y) {
  normalise_row(x, gain, bias, width, epsilon, y);
}

void layer_norm_row(const float* x, const float* gain, const float* bias, int64_t width, float epsilon, uint16_t* y) {
  normalise_row(x, gain, bias, width, epsilon, y);
}

}  // namespace sae::SIMD_NAMESPACE
