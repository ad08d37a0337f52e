#include "ops/rotary/rotary.h"

#include <cmath>

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/rotary/rotary_cpu.h"
#include "ops/rotary/rotary_cuda.h"

namespace sae {
namespace {

/// Elements between the two of a pair.
int64_t distance_of(RotaryPairs pairs, int64_t dimensions) {
  return pairs == RotaryPairs::neighbours ? 1 : dimensions / 2;
}

void rotate_row(double* x, const RotaryHeads& heads, RotaryPairs pairs, const double* cosine, const double* sine) {
  cpu::rotate_row(x, heads, distance_of(pairs, heads.dimensions), cosine, sine);
}
void rotate_row(float* x, const RotaryHeads& heads, RotaryPairs pairs, const float* cosine, const float* sine) {
  if (pairs == RotaryPairs::neighbours) {
    SIMD_CALL(rotate_neighbours, x, heads, cosine, sine);
  } else {
    SIMD_CALL(rotate_halves, x, heads, cosine, sine);
  }
}

template <class T>
void rotate_on_cpu(const RotaryRows& p, RotaryPairs pairs, const T* cosine, const T* sine, T* x) {
  parallel_for(p.rows, grain_for(p.heads * p.dimensions), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = r % p.length * p.dimensions;
      rotate_row(x + r * p.cols, {p.heads, p.head_dim, p.dimensions}, pairs, cosine + at, sine + at);
    }
  });
}

}  // namespace

std::vector<double> rotary_frequencies(int64_t dimensions, double base) {
  CHECK(dimensions > 0 && dimensions % 2 == 0 && base > 0,
        "rotary: expected an even number of dimensions and a positive base, got {} and {}", dimensions, base);
  std::vector<double> frequencies;
  for (int64_t pair = 0; pair < dimensions / 2; ++pair) {
    frequencies.push_back(std::pow(base, -2.0 * static_cast<double>(pair) / static_cast<double>(dimensions)));
  }
  return frequencies;
}

RotaryTable RotaryTable::make(Device& device, Dtype dtype, int64_t first, int64_t positions,
                              std::span<const double> frequencies, RotaryPairs pairs) {
  CHECK(first >= 0 && positions > 0, "rotary: {} positions from {} on", positions, first);
  CHECK(!frequencies.empty(), "rotary: no frequencies");
  const auto pair_count = static_cast<int64_t>(frequencies.size()), dimensions = 2 * pair_count;
  const Shape shape = {positions, dimensions};
  const int64_t distance = distance_of(pairs, dimensions);
  return visit_real("rotary", dtype, [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> cosines(static_cast<size_t>(shape.elements())), sines(cosines.size());
    parallel_for(positions, grain_for(32 * dimensions), [&](int64_t begin, int64_t end) {
      for (int64_t position = begin; position < end; ++position) {
        for (int64_t pair = 0; pair < pair_count; ++pair) {
          const double angle = static_cast<double>(first + position) * frequencies[static_cast<size_t>(pair)];
          const auto one = static_cast<size_t>(position * dimensions + (distance == 1 ? 2 * pair : pair));
          const size_t other = one + static_cast<size_t>(distance);
          cosines[one] = cosines[other] = static_cast<T>(std::cos(angle));
          sines[other] = static_cast<T>(std::sin(angle));
          sines[one] = -sines[other];
        }
      }
    });
    return RotaryTable{Tensor::from(device, shape, cosines), Tensor::from(device, shape, sines), pairs};
  });
}

Tensor rotary(Variable x, int64_t heads, int64_t head_dim, const RotaryTable& table) {
  const Tensor& in = require_constant("rotary", x);
  const int64_t dimensions = table.dimensions(), rows = in.rows(), cols = in.cols(), length = table.positions();
  CHECK(heads >= 0 && head_dim >= dimensions && heads * head_dim <= cols && in.dtype() == table.cosine.dtype(),
        "rotary: {} heads of {} in rows {}, with angles {} for each position", heads, head_dim, in.describe(),
        table.cosine.slice_rows(0, 1).describe());
  CHECK(rows % length == 0, "rotary: {} rows are no whole number of contexts of {}", rows, length);
  require_same_device("rotary", {&in, &table.cosine, &table.sine});
  Device& device = in.device();
  const Dtype dtype = in.dtype();
  const RotaryRows turned = {rows, cols, heads, head_dim, dimensions, distance_of(table.pairs, dimensions), length};
  Writable y = std::get<Tensor>(std::move(x.value)).into_writable();
  visit_real("rotary", dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *cosine = table.cosine.data<T>(), *sine = table.sine.data<T>();
    switch (device.kind()) {
      case DeviceKind::cpu:
        return rotate_on_cpu(turned, table.pairs, cosine, sine, y.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), rotary, device.stream(), turned, cosine, sine, y.data<T>());
    }
  });
  return std::move(y).freeze();
}

}  // namespace sae
