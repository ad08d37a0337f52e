#include "ops/rotary/rotary_heads.h"

#include "engine/lanes_simd.h"

namespace sae::SIMD_NAMESPACE {

void rotate_neighbours(float* x, const RotaryHeads& heads, const float* cosine, const float* sine) {
  for (float* head = x; head < x + heads.count * heads.size; head += heads.size) {
    int64_t i = 0;
    for (; i + lane_count <= heads.dimensions; i += lane_count) {
      const lanes value = load(head + i);
      const lanes partner = __builtin_shufflevector(value, value, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
      store(head + i, value * load(cosine + i) + partner * load(sine + i));
    }
    for (; i < heads.dimensions; i += 2) {
      const float a = head[i], b = head[i + 1];
      head[i] = a * cosine[i] + b * sine[i];
      head[i + 1] = b * cosine[i + 1] + a * sine[i + 1];
    }
  }
}

void rotate_halves(float* x, const RotaryHeads& heads, const float* cosine, const float* sine) {
  const int64_t half = heads.dimensions / 2;
  for (float* head = x; head < x + heads.count * heads.size; head += heads.size) {
    int64_t i = 0;
    for (; i + lane_count <= half; i += lane_count) {
      const lanes a = load(head + i), b = load(head + half + i);
      store(head + i, a * load(cosine + i) + b * load(sine + i));
      store(head + half + i, b * load(cosine + half + i) + a * load(sine + half + i));
    }
    for (; i < half; ++i) {
      const float a = head[i], b = head[half + i];
      head[i] = a * cosine[i] + b * sine[i];
      head[half + i] = b * cosine[half + i] + a * sine[half + i];
    }
  }
}

}  // namespace sae::SIMD_NAMESPACE
