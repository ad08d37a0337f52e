#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <utility>

namespace sae {

/// Element types of a tensor. Offsets and token counters are i64, column indices i32, token ids u16.
enum class Dtype { f32, f64, bf16, i32, i64, u16 };

/// The upper half of a float32. Conversion from float rounds to nearest, ties to even, and keeps NaN a NaN. (constexpr:
/// kernels may call it.)
struct bfloat16 {
  uint16_t bits = 0;

  bfloat16() = default;
  constexpr explicit bfloat16(float value) {
    const uint32_t word = std::bit_cast<uint32_t>(value);
    const bool is_nan = (word & 0x7fffffffu) > 0x7f800000u;
    const uint32_t rounded = word + 0x7fffu + ((word >> 16) & 1u);
    bits = static_cast<uint16_t>((is_nan ? word | 0x00400000u : rounded) >> 16);
  }
  constexpr explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
  friend constexpr bool operator==(bfloat16 a, bfloat16 b) { return a.bits == b.bits; }
};

int64_t size_of(Dtype dtype);
std::string_view name_of(Dtype dtype);

template <class T>
constexpr Dtype dtype_of();
template <>
constexpr Dtype dtype_of<float>() {
  return Dtype::f32;
}
template <>
constexpr Dtype dtype_of<double>() {
  return Dtype::f64;
}
template <>
constexpr Dtype dtype_of<bfloat16>() {
  return Dtype::bf16;
}
template <>
constexpr Dtype dtype_of<int32_t>() {
  return Dtype::i32;
}
template <>
constexpr Dtype dtype_of<int64_t>() {
  return Dtype::i64;
}
template <>
constexpr Dtype dtype_of<uint16_t>() {
  return Dtype::u16;
}

[[noreturn]] void refuse_dtype(std::string_view op, Dtype dtype);

/// Calls f(T{}) with T = float or double: how an op turns a tensor's dtype into a template argument, once per call.
/// Throws, naming the op, for any other dtype.
template <class F>
auto visit_real(std::string_view op, Dtype dtype, F&& f) {
  switch (dtype) {
    case Dtype::f32:
      return std::forward<F>(f)(float{});
    case Dtype::f64:
      return std::forward<F>(f)(double{});
    case Dtype::bf16:
    case Dtype::i32:
    case Dtype::i64:
    case Dtype::u16:
      break;
  }
  refuse_dtype(op, dtype);
}

}  // namespace sae
