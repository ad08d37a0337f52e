#include "ops/rotary/rotary.h"

#include <cmath>

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/rotary/rotary_cpu.h"

namespace sae {
namespace {

int64_t distance_of(RotaryPairs pairs, int64_t head_dim) { return pairs == RotaryPairs::neighbours ? 1 : head_dim / 2; }

void rotate_row(double* x, int64_t heads, int64_t head_dim, RotaryPairs pairs, const double* cosine,
                const double* sine) {
  cpu::rotate_row(x, heads, head_dim, distance_of(pairs, head_dim), cosine, sine);
}
void rotate_row(float* x, int64_t heads, int64_t head_dim, RotaryPairs pairs, const float* cosine, const float* sine) {
  if (pairs == RotaryPairs::neighbours) {
    SIMD_CALL(rotate_neighbours, x, heads, head_dim, cosine, sine);
  } else {
    SIMD_CALL(rotate_halves, x, heads, head_dim, cosine, sine);
  }
}

}  // namespace

RotaryTable RotaryTable::make(Device& device, Dtype dtype, int64_t first, int64_t positions, int64_t head_dim,
                              double base, RotaryPairs pairs) {
  CHECK(first >= 0 && positions > 0, "rotary: {} positions from {} on", positions, first);
  CHECK(head_dim > 0 && head_dim % 2 == 0 && base > 0,
        "rotary: expected an even head size and a positive base, got {} and {}", head_dim, base);
  Writable cosine = Tensor::empty(device, {positions, head_dim}, dtype);
  Writable sine = Tensor::empty(device, {positions, head_dim}, dtype);
  const int64_t distance = distance_of(pairs, head_dim);
  std::vector<double> frequencies;
  for (int64_t pair = 0; pair < head_dim / 2; ++pair) {
    frequencies.push_back(std::pow(base, -2.0 * static_cast<double>(pair) / static_cast<double>(head_dim)));
  }
  visit_real("rotary", dtype, [&](auto zero) {
    using T = decltype(zero);
    T* cosines = cosine.data<T>();
    T* sines = sine.data<T>();
    parallel_for(positions, grain_for(32 * head_dim), [&](int64_t begin, int64_t end) {
      for (int64_t position = begin; position < end; ++position) {
        for (int64_t pair = 0; pair < head_dim / 2; ++pair) {
          const double angle = static_cast<double>(first + position) * frequencies[static_cast<size_t>(pair)];
          const int64_t one = position * head_dim + (distance == 1 ? 2 * pair : pair), other = one + distance;
          cosines[one] = cosines[other] = static_cast<T>(std::cos(angle));
          sines[other] = static_cast<T>(std::sin(angle));
          sines[one] = -sines[other];
        }
      }
    });
  });
  return {std::move(cosine).freeze(), std::move(sine).freeze(), pairs};
}

Tensor rotary(Variable x, int64_t heads, const RotaryTable& table) {
  const Tensor& in = require_constant("rotary", x);
  const int64_t head_dim = table.cosine.cols(), rows = in.rows(), cols = in.cols(), length = table.positions();
  CHECK(heads >= 0 && heads * head_dim <= cols && in.dtype() == table.cosine.dtype(),
        "rotary: {} heads of {} ({}) in rows {}", heads, head_dim, name_of(table.cosine.dtype()), in.describe());
  CHECK(rows % length == 0, "rotary: {} rows are no whole number of contexts of {}", rows, length);
  if (in.device().kind() != DeviceKind::cpu) refuse_device("rotary", in.device().kind());
  const Dtype dtype = in.dtype();
  Writable y = std::get<Tensor>(std::move(x.value)).into_writable();
  visit_real("rotary", dtype, [&](auto zero) {
    using T = decltype(zero);
    T* data = y.data<T>();
    const T* cosine = table.cosine.data<T>();
    const T* sine = table.sine.data<T>();
    parallel_for(rows, grain_for(heads * head_dim), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = r % length * head_dim;
        rotate_row(data + r * cols, heads, head_dim, table.pairs, cosine + at, sine + at);
      }
    });
  });
  return std::move(y).freeze();
}

}  // namespace sae
