#include "engine/lanes_math_simd.h"

namespace sae::SIMD_NAMESPACE {
namespace {

lanes gated(lanes gate, lanes up) { return gate / (1.0f + exp_lanes(-gate)) * up; }

template <class To>
void gated_row(const float* gate, const float* up, int64_t width, To* y) {
  int64_t j = 0;
  for (; j + lane_count <= width; j += lane_count) store_wide(y + j, gated(load(gate + j), load(up + j)));
  if (j < width) store_first(y + j, gated(load_first(gate + j, width - j), load_first(up + j, width - j)), width - j);
}

}  // namespace

void swiglu_row(const float* gate, const float* up, int64_t width, float* y) { gated_row(gate, up, width, y); }
void swiglu_row(const float* gate, const float* up, int64_t width, uint16_t* y) { gated_row(gate, up, width, y); }

}  // namespace sae::SIMD_NAMESPACE
