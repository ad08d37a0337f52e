#pragma once

#include <array>
#include <cstdint>

#include "engine/tensor.h"

namespace sae {

/// Counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): draw i of stream s is a pure function of
/// (seed, s, i), so a draw does not depend on what was drawn before, on threads or on the device, and a resumed run
/// needs only the counter.
class Philox {
 public:
  Philox(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}

  /// The four 32-bit words of block i.
  std::array<uint32_t, 4> block(uint64_t i) const;
  uint32_t word(uint64_t i) const { return block(i / 4)[i % 4]; }
  /// Uniform in [0, 1), with 24 bits.
  float uniform(uint64_t i) const { return static_cast<float>(word(i) >> 8) * 0x1p-24f; }
  /// Standard normal, by Box-Muller from the words of its pair.
  double normal(uint64_t i) const;
  /// Uniform in [0, bound), bound at least 1, from 64 bits (block i).
  uint64_t below(uint64_t i, uint64_t bound) const;

 private:
  uint64_t seed_;
  uint64_t stream_;
};

/// A tensor (f32 or f64) of standard normal draws 0, 1, 2, ... in row-major order.
Tensor normal_tensor(Device& device, Shape shape, Dtype dtype, const Philox& random);

/// Position i of a pseudo-random permutation of [0, count): a keyed bijection (a Feistel network walked until it lands
/// inside), so that a shuffle of any size needs no table.
class Permutation {
 public:
  Permutation(uint64_t count, uint64_t seed, uint64_t stream);
  uint64_t operator()(uint64_t i) const;

 private:
  uint64_t count_;
  int half_bits_;
  Philox random_;
};

}  // namespace sae
