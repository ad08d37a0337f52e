#include "ops/auxiliary_loss/auxiliary_loss_simd.h"

// Loops that the compiler vectorises: reductions are over integers, whose order is free. A float that is not negative
// is ordered like its bits.

namespace sae::cpu::SIMD_NAMESPACE {

namespace {

int32_t bits_of(float value) {
  int32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits;
}

float float_of(int32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

/// How many of the values, none of them negative, are at least the one with these bits.
int64_t count_at_least(const float* values, int64_t count, int32_t bits) {
  int32_t found = 0;
  for (int64_t i = 0; i < count; ++i) found += bits_of(values[i]) >= bits;
  return found;
}

/// The bits of the k-th largest of values that are not negative, more than k of them above 0; or, as soon as one is
/// met, of a number that exactly k of them reach.
int32_t near_kth_largest(const float* values, int64_t count, int64_t k) {
  int32_t most = 0;
  for (int64_t i = 0; i < count; ++i) most = bits_of(values[i]) > most ? bits_of(values[i]) : most;
  if (count_at_least(values, count, most) >= k) return most;
  float low = 0, high = float_of(most);  // at least k reach `low`, fewer reach `high`
  for (;;) {
    const float middle = low * 0.5f + high * 0.5f;
    if (!(low < middle && middle < high)) return bits_of(low);
    const int64_t found = count_at_least(values, count, bits_of(middle));
    if (found == k) return bits_of(middle);
    (found > k ? low : high) = middle;
  }
}

}  // namespace

void round_row(const float* __restrict from, int64_t count, uint16_t* __restrict to) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t word;
    __builtin_memcpy(&word, from + i, sizeof(word));
    to[i] = static_cast<uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
  }
}

void mask_row(float* __restrict gradient, const uint16_t* __restrict active, int64_t count) {
  for (int64_t i = 0; i < count; ++i) gradient[i] = active[i] != 0 ? gradient[i] : 0.0f;
}

bool activate_row(float* __restrict pre, const float* __restrict bias, int64_t count, int64_t k) {
  constexpr int32_t exponent = 0x7f800000;
  int32_t not_finite = 0, positive = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float value = pre[i] + bias[i];
    not_finite += (bits_of(value) & exponent) == exponent;
    positive += value > 0;
    pre[i] = value > 0 ? value : 0.0f;
  }
  if (not_finite != 0) return false;
  if (positive <= k) return true;
  const int32_t least = near_kth_largest(pre, count, k);
  int64_t surplus = count_at_least(pre, count, least) - k;
  for (int64_t i = count - 1; surplus > 0; --i) {  // ties: the last of them go
    if (bits_of(pre[i]) != least) continue;
    pre[i] = 0;
    --surplus;
  }
  for (int64_t i = 0; i < count; ++i) pre[i] = bits_of(pre[i]) >= least ? pre[i] : 0.0f;
  return true;
}

}  // namespace sae::cpu::SIMD_NAMESPACE
