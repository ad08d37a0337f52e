#include "engine/philox.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "engine/error.h"
#include "engine/parallel.h"

namespace sae {

std::array<uint32_t, 4> Philox::block(uint64_t i) const {
  constexpr uint32_t multiplier[2] = {0xD2511F53u, 0xCD9E8D57u};
  constexpr uint32_t weyl[2] = {0x9E3779B9u, 0xBB67AE85u};
  std::array<uint32_t, 4> counter = {static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32),
                                     static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)};
  uint32_t key[2] = {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{multiplier[0]} * counter[0];
    const uint64_t product1 = uint64_t{multiplier[1]} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += weyl[0];
    key[1] += weyl[1];
  }
  return counter;
}

double Philox::normal(uint64_t i) const {
  const auto words = block(i / 2);
  const size_t first = 0, second = 2;
  // 53 bits each; the first is in (0, 1] so that its logarithm is finite.
  const double u = (static_cast<double>((uint64_t{words[first]} << 21) | (words[first + 1] >> 11)) + 1.0) * 0x1p-53;
  const double v = static_cast<double>((uint64_t{words[second]} << 21) | (words[second + 1] >> 11)) * 0x1p-53;
  const double radius = std::sqrt(-2.0 * std::log(u));
  const double angle = 2.0 * std::numbers::pi * v;
  return i % 2 == 0 ? radius * std::cos(angle) : radius * std::sin(angle);
}

uint64_t Philox::below(uint64_t i, uint64_t bound) const {
  CHECK(bound > 0, "random: a draw below 0 was asked for");
  const auto words = block(i);
  const uint64_t draw = (uint64_t{words[0]} << 32) | words[1];
  // The high half of a 64 x 64 product: bias below bound / 2^64.
  __extension__ using uint128 = unsigned __int128;
  return static_cast<uint64_t>((static_cast<uint128>(draw) * bound) >> 64);
}

Tensor normal_tensor(Device& device, Shape shape, Dtype dtype, const Philox& random) {
  return visit_real("normal_tensor", dtype, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> values(static_cast<size_t>(shape.elements()));
    parallel_for(shape.elements(), 4096, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        values[static_cast<size_t>(i)] = static_cast<T>(random.normal(static_cast<uint64_t>(i)));
      }
    });
    return Tensor::from(device, shape, values);
  });
}

Permutation::Permutation(uint64_t count, uint64_t seed, uint64_t stream)
    : count_(count),
      half_bits_((static_cast<int>(std::bit_width(count > 1 ? count - 1 : 1)) + 1) / 2),
      random_(seed, stream) {}

uint64_t Permutation::operator()(uint64_t i) const {
  CHECK(i < count_, "permutation: position {} of {}", i, count_);
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  constexpr uint64_t rounds = 4;
  do {
    uint64_t left = i >> half_bits_, right = i & mask;
    for (uint64_t round = 0; round < rounds; ++round) {
      const uint64_t mixed = left ^ (random_.block((right << 2) | round)[0] & mask);
      left = right;
      right = mixed;
    }
    i = (left << half_bits_) | right;
  } while (i >= count_);
  return i;
}

}  // namespace sae
