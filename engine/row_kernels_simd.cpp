#include "engine/lanes_simd.h"

namespace sae::SIMD_NAMESPACE {

float dot(const float* a, const float* b, int64_t count) {
  lanes sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * lane_count <= count; i += 4 * lane_count) {
    for (int part = 0; part < 4; ++part) {
      sums[part] += load(a + i + part * lane_count) * load(b + i + part * lane_count);
    }
  }
  for (; i + lane_count <= count; i += lane_count) sums[0] += load(a + i) * load(b + i);
  float sum = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

namespace {

/// One block of Vectors * 16 columns, kept in registers over all the rows.
template <int Vectors>
void weighted_block(const float* weights, const int32_t* rows, int64_t count, const float* matrix, int64_t width,
                    float* out) {
  lanes sums[Vectors] = {};
  for (int64_t j = 0; j < count; ++j) {
    if (weights[j] == 0) continue;
    const float* row = matrix + static_cast<int64_t>(rows[j]) * width;
    const lanes weight = broadcast(weights[j]);
    for (int part = 0; part < Vectors; ++part) sums[part] += weight * load(row + part * lane_count);
  }
  for (int part = 0; part < Vectors; ++part) store(out + part * lane_count, sums[part]);
}

}  // namespace

void weighted_rows(const float* weights, const int32_t* rows, int64_t count, const float* matrix, int64_t width,
                   float* out) {
  int64_t i = 0;
  for (; i + 12 * lane_count <= width; i += 12 * lane_count) {
    weighted_block<12>(weights, rows, count, matrix + i, width, out + i);
  }
  for (; i + 4 * lane_count <= width; i += 4 * lane_count) {
    weighted_block<4>(weights, rows, count, matrix + i, width, out + i);
  }
  for (; i + lane_count <= width; i += lane_count) {
    weighted_block<1>(weights, rows, count, matrix + i, width, out + i);
  }
  for (; i < width; ++i) {
    float sum = 0;
    for (int64_t j = 0; j < count; ++j) {
      if (weights[j] != 0) sum += weights[j] * matrix[static_cast<int64_t>(rows[j]) * width + i];
    }
    out[i] = sum;
  }
}

}  // namespace sae::SIMD_NAMESPACE
