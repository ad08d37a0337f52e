#include "engine/lanes_simd.h"
#include "ops/topk_encode/topk_encode_cpu.h"

namespace sae::cpu::SIMD_NAMESPACE {

using namespace sae::SIMD_NAMESPACE;

namespace {

/// How many of values[0, count) are >= limit; count is a multiple of 16.
int64_t count_at_least(const float* values, int64_t count, float limit) {
  const lanes bound = broadcast(limit);
  int_lanes found = {};
  for (int64_t i = 0; i < count; i += lane_count) found -= load(values + i) >= bound;
  int32_t part[lane_count];
  __builtin_memcpy(part, &found, sizeof(part));
  int64_t sum = 0;
  for (int64_t i = 0; i < lane_count; ++i) sum += part[i];
  return sum;
}

/// A value v, at least `low`, of which at least k of values[0, count) are >= v, close below the k-th largest: where
/// halving finds one, at most k + slack are >= v. At least k are >= low; count is a multiple of 16.
float near_kth_largest(const float* values, int64_t count, int64_t k, int64_t slack, float low) {
  lanes most = load(values);
  for (int64_t i = lane_count; i < count; i += lane_count) {
    const lanes value = load(values + i);
    most = select(value > most, value, most);
  }
  float highs[lane_count];
  store(highs, most);
  float high = highs[0];
  for (int64_t i = 1; i < lane_count; ++i) high = highs[i] > high ? highs[i] : high;
  for (int halving = 0; halving < 14; ++halving) {
    const float middle = low * 0.5f + high * 0.5f;
    if (!(low < middle && middle < high)) break;
    const int64_t found = count_at_least(values, count, middle);
    (found >= k ? low : high) = middle;
    if (found >= k && found <= k + slack) break;
  }
  return low;
}

float least_of(const float* values, int64_t count) {
  float least = values[0];
  for (int64_t i = 1; i < count; ++i) least = values[i] < least ? values[i] : least;
  return least;
}

}  // namespace

void tighten(ScreenedRow* row, const ScreenSizes* sizes, int64_t slack) {
  if (row->count < sizes->k) return;
  const int64_t padded = (row->count + lane_count - 1) / lane_count * lane_count;
  for (int64_t i = row->count; i < padded; ++i) row->lower[i] = -__builtin_inff();
  const float low = row->threshold > no_threshold ? row->threshold : least_of(row->lower, row->count);
  row->threshold = near_kth_largest(row->lower, padded, sizes->k, slack, low);
  int64_t kept = 0;
  for (int64_t i = 0; i < row->count; ++i) {
    const float upper = row->upper[i];
    row->lower[kept] = row->lower[i];
    row->upper[kept] = upper;
    row->latent[kept] = row->latent[i];
    kept += upper >= row->threshold;
  }
  row->count = kept;
  if (kept <= sizes->limit) return;
  row->overflowed = true;
  row->count = 0;
  row->threshold = __builtin_inff();  // keeps no more
}

void screen_scores(const float* scores, const float* bias, const PanelBounds* bounds, int64_t first_panel,
                   int64_t panels, const ScreenSizes* sizes, ScreenedRow* row) {
  for (int64_t panel = first_panel; panel < first_panel + panels; ++panel) {
    const float* part = scores + (panel - first_panel) * panel_width;
    const PanelBounds& bound = bounds[panel];
    const float error =
        row->per_rounded * bound.rounded_norm + row->per_residual * bound.residual_norm + bound.bias_error;
    const lanes margin = broadcast(error), threshold = broadcast(row->threshold);
    int_lanes any = {};
    float upper[panel_width];
    for (int64_t i = 0; i < panel_width; i += lane_count) {
      const lanes value = (load(part + i) + load(bias + panel * panel_width + i)) + margin;
      any |= value >= threshold;
      store(upper + i, value);
    }
    uint64_t words[8];
    __builtin_memcpy(words, &any, sizeof(words));
    if (((words[0] | words[1]) | (words[2] | words[3]) | (words[4] | words[5]) | (words[6] | words[7])) == 0) continue;
    for (int64_t i = 0; i < panel_width; ++i) {
      row->lower[row->count] = (part[i] + bias[panel * panel_width + i]) - error;
      row->upper[row->count] = upper[i];
      row->latent[row->count] = static_cast<int32_t>(panel * panel_width + i);
      row->count += upper[i] >= row->threshold;
    }
    if (row->count > sizes->limit) tighten(row, sizes, sizes->k / 8);
  }
}

}  // namespace sae::cpu::SIMD_NAMESPACE
