#pragma once

// For *_simd.cpp only: the functions of sixteen floats that normalisations and activation functions need.

#include "engine/lanes_simd.h"

namespace sae::SIMD_NAMESPACE {

typedef uint32_t word_lanes __attribute__((vector_size(64)));
typedef uint16_t half_lanes __attribute__((vector_size(32)));

inline lanes max_lanes(lanes a, lanes b) { return select(a > b, a, b); }

/// The largest lane; NaN lanes are passed over.
inline float largest_lane(lanes value) {
  float part[16];
  store(part, value);
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) part[i] = part[i] > part[i + width] ? part[i] : part[i + width];
  }
  return part[0];
}

inline lanes load_bfloat16(const uint16_t* from) {
  half_lanes bits;
  __builtin_memcpy(&bits, from, sizeof(bits));
  const word_lanes words = __builtin_convertvector(bits, word_lanes) << 16;
  return reinterpret_cast<lanes>(words);
}

/// Rounds to bfloat16, to nearest with ties to even, as engine/dtype.h does; NaN stays NaN.
inline void store_bfloat16(uint16_t* to, lanes value) {
  const word_lanes words = reinterpret_cast<word_lanes>(value);
  const word_lanes rounded = (words + 0x7fffu + ((words >> 16) & 1u)) >> 16;
  const word_lanes quiet = (words | 0x00400000u) >> 16;
  const half_lanes bits = __builtin_convertvector(value == value ? rounded : quiet, half_lanes);
  __builtin_memcpy(to, &bits, sizeof(bits));
}

// The first `count` (at most 16) elements; lanes beyond them read as 0 and are not written.
inline lanes load_first(const float* from, int64_t count) {
  lanes value = {};
  __builtin_memcpy(&value, from, static_cast<unsigned long>(count) * sizeof(float));
  return value;
}
inline void store_first(float* to, lanes value, int64_t count) {
  __builtin_memcpy(to, &value, static_cast<unsigned long>(count) * sizeof(float));
}
inline lanes load_first(const uint16_t* from, int64_t count) {
  uint16_t part[16] = {};
  __builtin_memcpy(part, from, static_cast<unsigned long>(count) * sizeof(uint16_t));
  return load_bfloat16(part);
}
inline void store_first(uint16_t* to, lanes value, int64_t count) {
  uint16_t part[16];
  store_bfloat16(part, value);
  __builtin_memcpy(to, part, static_cast<unsigned long>(count) * sizeof(uint16_t));
}

// One name for either storage type, so that a kernel is written once: uint16_t holds bfloat16.
inline lanes load_wide(const float* from) { return load(from); }
inline lanes load_wide(const uint16_t* from) { return load_bfloat16(from); }
inline void store_wide(float* to, lanes value) { store(to, value); }
inline void store_wide(uint16_t* to, lanes value) { store_bfloat16(to, value); }

/// e^x within 2 units in the last place wherever the result is a normal number; 0 below -104, infinity above 89, NaN
/// for NaN. With n = round(x / ln 2) and r = x - n ln 2 in [-0.35, 0.35]: 2^n (1 + r + r^2 p(r)), p of degree 5 (the
/// polynomial of Cephes' expf).
inline lanes exp_lanes(lanes x) {
  constexpr float log2_e = 1.44269504088896341f;
  constexpr float ln2_high = 0.693359375f;  // nine bits: its product with n is exact
  constexpr float ln2_low = -2.12194440e-4f;
  constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  x = select(x < -104.0f, broadcast(-104.0f), x);
  x = select(x > 89.0f, broadcast(89.0f), x);
  const lanes shifted = x * log2_e + round_magic;
  const int_lanes n = reinterpret_cast<int_lanes>(shifted) - 0x4b400000;  // the bits of round_magic
  const lanes whole = shifted - round_magic;
  const lanes r = (x - whole * ln2_high) - whole * ln2_low;
  lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const lanes fraction = (p * (r * r) + r) + 1.0f;
  // 2^n as a product of two powers, so that both exponents stay in range down to the denormals and up to overflow
  const int_lanes first = n >> 1, second = n - first;
  const lanes scale = reinterpret_cast<lanes>((first + 127) << 23);
  const lanes rest = reinterpret_cast<lanes>((second + 127) << 23);
  return fraction * scale * rest;
}

}  // namespace sae::SIMD_NAMESPACE
