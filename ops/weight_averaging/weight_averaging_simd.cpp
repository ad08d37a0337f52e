#include "engine/lanes_simd.h"

namespace sae::cpu::SIMD_NAMESPACE {

void average_row(const float* __restrict value, float decay, float fraction, float* __restrict average, int64_t count) {
  for (int64_t i = 0; i < count; ++i) average[i] = decay * average[i] + fraction * value[i];
}

}  // namespace sae::cpu::SIMD_NAMESPACE
