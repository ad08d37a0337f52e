#include "models/language_model/dequantise.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cstring>

#include "engine/error.h"
#include "engine/files/half.h"
#include "engine/parallel.h"

namespace sae {
namespace {

// Numbers in the file are little-endian, as is every machine this runs on.
static_assert(std::endian::native == std::endian::little);

uint16_t read_u16(const std::byte* from) {
  uint16_t bits;
  std::memcpy(&bits, from, sizeof(bits));
  return bits;
}
float read_half(const std::byte* from) { return half_to_float(read_u16(from)); }

void decode_f32(const std::byte* from, int64_t blocks, float* to) {
  std::memcpy(to, from, static_cast<size_t>(blocks) * sizeof(float));
}

void decode_f16(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t i = 0; i < blocks; ++i) to[i] = read_half(from + 2 * i);
}

void decode_bf16(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t i = 0; i < blocks; ++i)
    to[i] = std::bit_cast<float>(static_cast<uint32_t>(read_u16(from + 2 * i)) << 16);
}

/// A half scale d, then 32 signed bytes q: d q.
void decode_q8_0(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t block = 0; block < blocks; ++block, from += 34, to += 32) {
    const float d = read_half(from);
    for (int64_t i = 0; i < 32; ++i) to[i] = static_cast<float>(static_cast<int8_t>(from[2 + i])) * d;
  }
}

/// A half scale d, then 16 bytes, whose low nibbles are elements 0 to 15 and whose high nibbles are 16 to 31: d (q -
/// 8).
void decode_q4_0(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t block = 0; block < blocks; ++block, from += 18, to += 32) {
    const float d = read_half(from);
    for (int64_t i = 0; i < 16; ++i) {
      const auto pair = static_cast<uint8_t>(from[2 + i]);
      to[i] = static_cast<float>((pair & 15) - 8) * d;
      to[16 + i] = static_cast<float>((pair >> 4) - 8) * d;
    }
  }
}

/// The same with a half offset m after the scale: d q + m.
void decode_q4_1(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t block = 0; block < blocks; ++block, from += 20, to += 32) {
    const float d = read_half(from), m = read_half(from + 2);
    for (int64_t i = 0; i < 16; ++i) {
      const auto pair = static_cast<uint8_t>(from[4 + i]);
      to[i] = static_cast<float>(pair & 15) * d + m;
      to[16 + i] = static_cast<float>(pair >> 4) * d + m;
    }
  }
}

constexpr std::array supported = {
    Quantisation{0, "F32", 1, 4, decode_f32},     Quantisation{1, "F16", 1, 2, decode_f16},
    Quantisation{30, "BF16", 1, 2, decode_bf16},  Quantisation{8, "Q8_0", 32, 34, decode_q8_0},
    Quantisation{2, "Q4_0", 32, 18, decode_q4_0}, Quantisation{3, "Q4_1", 32, 20, decode_q4_1},
};

/// Names of the types that a file may well have and this program cannot read, for the error's sake.
constexpr std::array<std::pair<uint32_t, std::string_view>, 12> unsupported = {{{6, "Q5_0"},
                                                                                {7, "Q5_1"},
                                                                                {9, "Q8_1"},
                                                                                {10, "Q2_K"},
                                                                                {11, "Q3_K"},
                                                                                {12, "Q4_K"},
                                                                                {13, "Q5_K"},
                                                                                {14, "Q6_K"},
                                                                                {15, "Q8_K"},
                                                                                {16, "IQ2_XXS"},
                                                                                {20, "IQ4_NL"},
                                                                                {23, "IQ4_XS"}}};

}  // namespace

const Quantisation* find_quantisation(uint32_t type) {
  for (const Quantisation& one : supported) {
    if (one.type == type) return &one;
  }
  return nullptr;
}

std::string quantisation_name(uint32_t type) {
  if (const Quantisation* known = find_quantisation(type)) return std::string(known->name);
  for (const auto& [number, name] : unsupported) {
    if (number == type) return std::string(name);
  }
  return fmt::format("type {}", type);
}

std::string supported_quantisations() {
  std::string text;
  for (const Quantisation& one : supported) text += (text.empty() ? "" : ", ") + std::string(one.name);
  return text;
}

void dequantise(const Quantisation& quantisation, std::span<const std::byte> from, std::span<float> to) {
  const auto elements = static_cast<int64_t>(to.size());
  const int64_t blocks = elements / quantisation.block_elements;
  CHECK(elements % quantisation.block_elements == 0 &&
            static_cast<int64_t>(from.size()) == blocks * quantisation.block_bytes,
        "dequantise: {} elements of {} from {} bytes", elements, quantisation.name, from.size());
  parallel_for(blocks, grain_for(quantisation.block_elements), [&](int64_t begin, int64_t end) {
    quantisation.decode(from.data() + begin * quantisation.block_bytes, end - begin,
                        to.data() + begin * quantisation.block_elements);
  });
}

}  // namespace sae
