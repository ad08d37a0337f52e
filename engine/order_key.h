#pragma once

#include <bit>
#include <cstdint>

namespace sae {

/// An integer that orders as the number does, of as many bits, so that numbers can be chosen a few bits at a time. Both
/// zeros get one key, as they compare equal; a NaN lies beyond the infinity of its sign.
constexpr uint32_t order_key(float value) {
  const auto bits = std::bit_cast<uint32_t>(value + 0.0f);
  return (bits >> 31) != 0 ? ~bits : bits | 0x8000'0000u;
}
constexpr uint64_t order_key(double value) {
  const auto bits = std::bit_cast<uint64_t>(value + 0.0);
  return (bits >> 63) != 0 ? ~bits : bits | 0x8000'0000'0000'0000u;
}

}  // namespace sae
