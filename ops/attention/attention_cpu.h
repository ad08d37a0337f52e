#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "ops/attention/attention_head.h"

namespace sae {

/// Keys of a head in panels of sixteen, zero-padded: element (key, d) at [key / 16][d][key % 16].
constexpr int64_t packed_keys_size(int64_t keys, int64_t head_dim) { return (keys + 15) / 16 * 16 * head_dim; }
/// Scores of the four query rows that are treated together.
constexpr int64_t scores_size(int64_t keys) { return 4 * ((keys + 15) / 16 * 16); }

namespace cpu {

/// What it means, in float or double.
template <class T>
void attend(const AttentionHead<T, T>& head) {
  std::vector<T> p(static_cast<size_t>(head.keys));
  for (int64_t i = 0; i < head.queries; ++i) {
    const int64_t first = head.first_visible(i), visible = head.end_visible(i);
    T top = -std::numeric_limits<T>::infinity(), sum = 0;
    for (int64_t j = first; j < visible; ++j) {
      T score = 0;
      for (int64_t d = 0; d < head.head_dim; ++d)
        score += head.q[i * head.q_stride + d] * head.k[j * head.kv_stride + d];
      p[static_cast<size_t>(j)] = score * head.scale;
      top = std::max(top, p[static_cast<size_t>(j)]);
    }
    T* y = head.y + i * head.y_stride;
    std::fill(y, y + head.head_dim, T{0});
    for (int64_t j = first; j < visible; ++j) {
      const T weight = std::exp(p[static_cast<size_t>(j)] - top);
      sum += weight;
      for (int64_t d = 0; d < head.head_dim; ++d) y[d] += weight * head.v[j * head.kv_stride + d];
    }
    for (int64_t d = 0; d < head.head_dim; ++d) y[d] /= sum;
  }
}

}  // namespace cpu
}  // namespace sae
