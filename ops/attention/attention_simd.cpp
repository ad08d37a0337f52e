#include "ops/attention/attention_head.h"

#include "engine/lanes_math_simd.h"

namespace sae::SIMD_NAMESPACE {
namespace {

constexpr int row_block = 4;    // query rows treated together
constexpr int panel_block = 4;  // panels of sixteen keys, or vectors of sixteen columns, treated together
constexpr float minus_infinity = -__builtin_inff();

lanes interleave_low(lanes a, lanes b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
lanes interleave_high(lanes a, lanes b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/// A perfect shuffle of the 256 elements moves each index bit up by one; four of them swap row and column.
void transpose(lanes (&block)[16]) {
  for (int round = 0; round < 4; ++round) {
    lanes shuffled[16];
    for (int i = 0; i < 8; ++i) {
      shuffled[2 * i] = interleave_low(block[i], block[i + 8]);
      shuffled[2 * i + 1] = interleave_high(block[i], block[i + 8]);
    }
    for (int i = 0; i < 16; ++i) block[i] = shuffled[i];
  }
}

/// scores[r][panel * 16 + lane] = q[r] . k for Rows query rows and Panels panels of packed keys.
template <int Rows, int Panels>
void score_block(const float* q, int64_t q_stride, const float* packed, int64_t head_dim, float scale, float* scores,
                 int64_t scores_stride) {
  lanes sums[Rows][Panels] = {};
  for (int64_t d = 0; d < head_dim; ++d) {
    for (int panel = 0; panel < Panels; ++panel) {
      const lanes keys = load(packed + panel * head_dim * lane_count + d * lane_count);
      for (int r = 0; r < Rows; ++r) sums[r][panel] += keys * q[r * q_stride + d];
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int panel = 0; panel < Panels; ++panel) {
      store(scores + r * scores_stride + panel * lane_count, sums[r][panel] * scale);
    }
  }
}

/// y[r] = (sum over keys first <= j < end of weights[r][j] v[j]) * scales[r], for Rows rows and Vectors * 16 columns.
template <int Rows, int Vectors, class Out>
void value_block(const float* weights, int64_t weights_stride, const float* v, int64_t v_stride, int64_t first,
                 int64_t end, const float* scales, Out* y, int64_t y_stride) {
  lanes sums[Rows][Vectors] = {};
  for (int64_t j = first; j < end; ++j) {
    lanes values[Vectors];
    for (int part = 0; part < Vectors; ++part) values[part] = load(v + j * v_stride + part * lane_count);
    for (int r = 0; r < Rows; ++r) {
      const float weight = weights[r * weights_stride + j];
      for (int part = 0; part < Vectors; ++part) sums[r][part] += values[part] * weight;
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int part = 0; part < Vectors; ++part) {
      store_wide(y + r * y_stride + part * lane_count, sums[r][part] * scales[r]);
    }
  }
}

/// Turns the scores [begin, end) of one row into e^(score - largest), 0 outside the visible keys [first, visible);
/// returns one over their sum. begin and end are multiples of sixteen.
float softmax_row(float* scores, int64_t begin, int64_t first, int64_t visible, int64_t end) {
  lanes top = broadcast(minus_infinity);
  for (int64_t j = begin; j < first; ++j) scores[j] = minus_infinity;
  for (int64_t j = visible; j < end; ++j) scores[j] = minus_infinity;
  for (int64_t j = begin; j < end; j += lane_count) top = max_lanes(top, load(scores + j));
  const float largest = largest_lane(top);
  lanes sum = {};
  for (int64_t j = begin; j < end; j += lane_count) {
    const lanes weight = exp_lanes(load(scores + j) - largest);
    store(scores + j, weight);
    sum += weight;
  }
  return 1.0f / sum_lanes(sum);
}

/// Rows query rows from row `first` on.
template <int Rows, class Out>
void attend_rows(const AttentionHead<float, Out>& head, int64_t first, const float* packed, float* scores) {
  const int64_t last_visible = head.end_visible(first + Rows - 1);     // of the keys that the last row sees
  const int64_t first_panel = head.first_visible(first) / lane_count;  // with the first key that any row sees
  const int64_t panels = (last_visible + lane_count - 1) / lane_count, padded = panels * lane_count;
  const float* q = head.q + first * head.q_stride;
  const int64_t panel_size = head.head_dim * lane_count;
  int64_t panel = first_panel;
  for (; panel + panel_block <= panels; panel += panel_block) {
    score_block<Rows, panel_block>(q, head.q_stride, packed + panel * panel_size, head.head_dim, head.scale,
                                   scores + panel * lane_count, padded);
  }
  for (; panel < panels; ++panel) {
    score_block<Rows, 1>(q, head.q_stride, packed + panel * panel_size, head.head_dim, head.scale,
                         scores + panel * lane_count, padded);
  }
  float scales[Rows];
  for (int r = 0; r < Rows; ++r) {
    scales[r] = softmax_row(scores + r * padded, first_panel * lane_count, head.first_visible(first + r),
                            head.end_visible(first + r), padded);
  }
  const int64_t first_key = head.first_visible(first);
  Out* y = head.y + first * head.y_stride;
  int64_t d = 0;
  for (; d + panel_block * lane_count <= head.head_dim; d += panel_block * lane_count) {
    value_block<Rows, panel_block>(scores, padded, head.v + d, head.kv_stride, first_key, last_visible, scales, y + d,
                                   head.y_stride);
  }
  for (; d < head.head_dim; d += lane_count) {
    value_block<Rows, 1>(scores, padded, head.v + d, head.kv_stride, first_key, last_visible, scales, y + d,
                         head.y_stride);
  }
}

template <class Out>
void attend_head(const AttentionHead<float, Out>& head, const float* packed, float* scores) {
  int64_t i = 0;
  for (; i + row_block <= head.queries; i += row_block) attend_rows<row_block>(head, i, packed, scores);
  for (; i < head.queries; ++i) attend_rows<1>(head, i, packed, scores);
}

}  // namespace

void pack_keys(const float* k, int64_t stride, int64_t keys, int64_t head_dim, float* packed) {
  for (int64_t first = 0; first < keys; first += lane_count) {
    for (int64_t d = 0; d < head_dim; d += lane_count) {
      lanes block[16] = {};
      for (int64_t j = 0; j < lane_count && first + j < keys; ++j) block[j] = load(k + (first + j) * stride + d);
      transpose(block);
      for (int64_t j = 0; j < lane_count; ++j) store(packed + first * head_dim + (d + j) * lane_count, block[j]);
    }
  }
}

void attend(const AttentionHead<float, float>& head, const float* packed, float* scores) {
  attend_head(head, packed, scores);
}
void attend(const AttentionHead<float, uint16_t>& head, const float* packed, float* scores) {
  attend_head(head, packed, scores);
}

}  // namespace sae::SIMD_NAMESPACE
