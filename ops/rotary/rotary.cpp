#include "ops/rotary/rotary.h"

#include <cmath>

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/rotary/rotary_cpu.h"

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
  Writable cosine = Tensor::empty(device, {positions, dimensions}, dtype);
  Writable sine = Tensor::empty(device, {positions, dimensions}, dtype);
  const int64_t distance = distance_of(pairs, dimensions);
  visit_real("rotary", dtype, [&](auto zero) {
    using T = decltype(zero);
    T* cosines = cosine.data<T>();
    T* sines = sine.data<T>();
    parallel_for(positions, grain_for(32 * dimensions), [&](int64_t begin, int64_t end) {
      for (int64_t position = begin; position < end; ++position) {
        for (int64_t pair = 0; pair < pair_count; ++pair) {
          const double angle = static_cast<double>(first + position) * frequencies[static_cast<size_t>(pair)];
          const int64_t one = position * dimensions + (distance == 1 ? 2 * pair : pair), other = one + distance;
          cosines[one] = cosines[other] = static_cast<T>(std::cos(angle));
          sines[other] = static_cast<T>(std::sin(angle));
          sines[one] = -sines[other];
        }
      }
    });
  });
  return {std::move(cosine).freeze(), std::move(sine).freeze(), pairs};
}

Tensor rotary(Variable x, int64_t heads, int64_t head_dim, const RotaryTable& table) {
  const Tensor& in = require_constant("rotary", x);
  const int64_t dimensions = table.dimensions(), rows = in.rows(), cols = in.cols(), length = table.positions();
  CHECK(heads >= 0 && head_dim >= dimensions && heads * head_dim <= cols && in.dtype() == table.cosine.dtype(),
        "rotary: {} heads of {} in rows {}, with angles {} for each position", heads, head_dim, in.describe(),
        table.cosine.slice_rows(0, 1).describe());
  CHECK(rows % length == 0, "rotary: {} rows are no whole number of contexts of {}", rows, length);
  if (in.device().kind() != DeviceKind::cpu) refuse_device("rotary", in.device().kind());
  const Dtype dtype = in.dtype();
  Writable y = std::get<Tensor>(std::move(x.value)).into_writable();
  visit_real("rotary", dtype, [&](auto zero) {
    using T = decltype(zero);
    T* data = y.data<T>();
    const T* cosine = table.cosine.data<T>();
    const T* sine = table.sine.data<T>();
    parallel_for(rows, grain_for(heads * dimensions), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = r % length * dimensions;
        rotate_row(data + r * cols, {heads, head_dim, dimensions}, table.pairs, cosine + at, sine + at);
      }
    });
  });
  return std::move(y).freeze();
}

}  // namespace sae
