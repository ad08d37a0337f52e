#include "engine/lanes_simd.h"

namespace sae::SIMD_NAMESPACE {

namespace {

/// a . b; meanwhile `fetched` (as long, unless null) is on its way to the cache, a line for each that is read.
inline float dot_and_fetch(const float* a, const float* b, int64_t count, const float* fetched) {
  lanes sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * lane_count <= count; i += 4 * lane_count) {
    for (int part = 0; part < 4; ++part) {
      if (fetched != nullptr) __builtin_prefetch(fetched + i + part * lane_count, 0, 2);
      sums[part] += load(a + i + part * lane_count) * load(b + i + part * lane_count);
    }
  }
  for (; i + lane_count <= count; i += lane_count) sums[0] += load(a + i) * load(b + i);
  float sum = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

float dot(const float* a, const float* b, int64_t count) { return dot_and_fetch(a, b, count, nullptr); }

void paired_dots(const float* a, const int32_t* left, const float* b, const int32_t* right, int64_t count,
                 int64_t width, float* out) {
  constexpr int rows_ahead = 3;
  int64_t fetched = 0;  // the rows of b of the first so many pairs are here or on their way
  int on_the_way = 0;   // rows of b beyond the present one
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0 && right[i] != right[i - 1]) --on_the_way;
    const float* const row = b + int64_t{right[i]} * width;
    const float* next = nullptr;
    if (on_the_way < rows_ahead) {
      while (fetched < count && right[fetched] == right[fetched == 0 ? 0 : fetched - 1]) ++fetched;
      if (fetched < count) {
        next = b + int64_t{right[fetched++]} * width;
        ++on_the_way;
      }
    }
    out[i] = dot_and_fetch(a + int64_t{left[i]} * width, row, width, next);
  }
}

namespace {

constexpr int group_size = 4;

/// Rows that enter a sum together, so that the sum is loaded and stored once for all of them.
struct RowGroup {
  const float* rows[group_size];
  float weights[group_size];
  int count = 0;
};

/// The next rows of weight other than 0, from place j on, which moves behind them.
RowGroup take_group(const float* weights, const int32_t* rows, int64_t count, const float* matrix, int64_t width,
                    int64_t& j) {
  RowGroup group;
  for (; j < count && group.count < group_size; ++j) {
    if (weights[j] == 0) continue;
    group.rows[group.count] = matrix + static_cast<int64_t>(rows[j]) * width;
    group.weights[group.count++] = weights[j];
  }
  return group;
}

/// out += the first Count rows of the group, one after the other; meanwhile asks for the rows that come next. They lie
/// anywhere in a matrix larger than the caches, which the processor cannot foresee: twice as fast on a Zen 4.
template <int Count>
void add_group(const RowGroup& group, const float* const* next, int64_t width, float* out) {
  int64_t i = 0;
  for (; i + lane_count <= width; i += lane_count) {
    for (int part = 0; part < group_size; ++part) __builtin_prefetch(next[part] + i, 0, 2);
    lanes sum = load(out + i);
    for (int part = 0; part < Count; ++part) sum += broadcast(group.weights[part]) * load(group.rows[part] + i);
    store(out + i, sum);
  }
  for (; i < width; ++i) {
    for (int part = 0; part < Count; ++part) out[i] += group.weights[part] * group.rows[part][i];
  }
}

}  // namespace

void add_scaled(float* __restrict sum, float scale, const float* __restrict a, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += scale * a[i];
}

void weighted_rows(const float* weights, const int32_t* rows, int64_t count, const float* matrix, int64_t width,
                   float* out, int64_t ahead) {
  for (int64_t i = 0; i < width; ++i) out[i] = 0;
  for (int64_t j = 0; j < count;) {
    const RowGroup group = take_group(weights, rows, count, matrix, width, j);
    const float* next[group_size];
    for (int part = 0; part < group_size; ++part) {
      next[part] = j + part < count + ahead ? matrix + static_cast<int64_t>(rows[j + part]) * width : out;
    }
    switch (group.count) {
      case 4:
        add_group<4>(group, next, width, out);
        break;
      case 3:
        add_group<3>(group, next, width, out);
        break;
      case 2:
        add_group<2>(group, next, width, out);
        break;
      case 1:
        add_group<1>(group, next, width, out);
        break;
      default:
        break;
    }
  }
}

void scale_row(float* row, float scale, int64_t count) {
  for (int64_t i = 0; i < count; ++i) row[i] *= scale;
}

}  // namespace sae::SIMD_NAMESPACE
