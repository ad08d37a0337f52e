#include "engine/lanes_simd.h"
#include "ops/adam/stepped_row.h"

namespace sae::SIMD_NAMESPACE {
float dot(const float* a, const float* b, int64_t count);  // engine/row_kernels_simd.cpp
}

namespace sae::cpu::SIMD_NAMESPACE {

namespace {

using sae::SIMD_NAMESPACE::lane_count;
using sae::SIMD_NAMESPACE::lanes;
using sae::SIMD_NAMESPACE::load;
using sae::SIMD_NAMESPACE::sum_lanes;

/// Elements that are taken through all of a step's arithmetic together.
constexpr int64_t block = 4 * lane_count;

/// dot(w, w), block by block and with the same bits.
struct SquareSum {
  lanes sums[4] = {};

  void add(const float* w, int64_t count) {
    if (count == block) {
      for (int part = 0; part < 4; ++part) {
        const lanes value = load(w + part * lane_count);
        sums[part] += value * value;
      }
      return;
    }
    int64_t i = 0;
    for (; i + lane_count <= count; i += lane_count) {
      const lanes value = load(w + i);
      sums[0] += value * value;
    }
    tail = w + i;
    tail_count = count - i;
  }
  float total() const {
    float sum = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (int64_t i = 0; i < tail_count; ++i) sum += tail[i] * tail[i];
    return sum;
  }

  const float* tail = nullptr;
  int64_t tail_count = 0;
};

/// The row that is stepped next lies behind this one. It is asked for a little at a time, while there is arithmetic to
/// do: all of it at once would fill the queue of misses and stop the processor.
void prefetch_next(const float* here, int64_t width) {
  for (int64_t i = 0; i < block; i += lane_count) __builtin_prefetch(here + width + i, 0, 2);
}

/// `count` elements: project by `along` (if asked), step, and average (unless null). Plain loops: the compiler
/// vectorises them, square root and division included, because the pointers are restricted and -fno-math-errno is set.
inline void step_block(float* __restrict w, float* __restrict m, float* __restrict v, float* __restrict g,
                       float* __restrict average, const SteppedRow<float>& row, bool project, float along,
                       const float* factors, int64_t count) {
  const float beta1 = factors[0], one_minus_beta1 = factors[1], beta2 = factors[2], one_minus_beta2 = factors[3];
  const float step_size = factors[4], root_correction = factors[5], epsilon = factors[6];
  if (project) {
    for (int64_t i = 0; i < count; ++i) g[i] += along * w[i];
  }
  for (int64_t i = 0; i < count; ++i) {
    m[i] = beta1 * m[i] + one_minus_beta1 * g[i];
    v[i] = beta2 * v[i] + one_minus_beta2 * (g[i] * g[i]);
    w[i] -= step_size * m[i] / (__builtin_sqrtf(v[i]) * root_correction + epsilon);
  }
  if (average != nullptr) {
    for (int64_t i = 0; i < count; ++i) average[i] = row.decay * average[i] + row.fraction * w[i];
  }
}

}  // namespace

float step_row(const SteppedRow<float>& row, int64_t width, const float* factors, bool unit_norm) {
  const float along = unit_norm ? -sae::SIMD_NAMESPACE::dot(row.gradient, row.weights, width) : 0.0f;
  SquareSum squares;
  for (int64_t i = 0; i < width; i += block) {
    float* const w = row.weights + i;
    float* const m = row.first_moment + i;
    float* const v = row.second_moment + i;
    float* const average = row.average == nullptr ? nullptr : row.average + i;
    prefetch_next(w, width);
    prefetch_next(m, width);
    prefetch_next(v, width);
    if (average != nullptr) prefetch_next(average, width);
    float* const final_average = unit_norm ? nullptr : average;
    const int64_t count = width - i < block ? width - i : block;
    if (count == block) {  // as a constant
      step_block(w, m, v, row.gradient + i, final_average, row, unit_norm, along, factors, block);
    } else {
      step_block(w, m, v, row.gradient + i, final_average, row, unit_norm, along, factors, count);
    }
    squares.add(w, count);
  }
  const float total = squares.total();
  if (!unit_norm) return total;
  const float length = __builtin_sqrtf(total);
  const float scale = length == 0 ? 1.0f : 1.0f / length;
  SquareSum scaled;
  for (int64_t i = 0; i < width; i += block) {
    const int64_t count = width - i < block ? width - i : block;
    float* const __restrict w = row.weights + i;
    for (int64_t j = 0; j < count; ++j) w[j] *= scale;
    if (row.average != nullptr) {
      float* const __restrict average = row.average + i;
      for (int64_t j = 0; j < count; ++j) average[j] = row.decay * average[j] + row.fraction * w[j];
    }
    scaled.add(w, count);
  }
  return scaled.total();
}

}  // namespace sae::cpu::SIMD_NAMESPACE
