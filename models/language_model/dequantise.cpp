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

uint32_t read_u32(const std::byte* from) {
  uint32_t bits;
  std::memcpy(&bits, from, sizeof(bits));
  return bits;
}
int low_nibble(std::byte byte) { return static_cast<uint8_t>(byte) & 15; }
int high_nibble(std::byte byte) { return static_cast<uint8_t>(byte) >> 4; }
/// Bit `bit` of the byte as 16 or 0: the fifth bit of an element.
int fifth_bit(std::byte byte, int bit) { return ((static_cast<uint8_t>(byte) >> bit) & 1) << 4; }

/// As Q4_0, with the elements' fifth bits as a word of 32 between scale and nibbles: d (q - 16).
void decode_q5_0(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t block = 0; block < blocks; ++block, from += 22, to += 32) {
    const float d = read_half(from);
    const uint32_t fifth = read_u32(from + 2);
    for (int i = 0; i < 16; ++i) {
      const int low = low_nibble(from[6 + i]) | static_cast<int>((fifth >> i) & 1) << 4;
      const int high = high_nibble(from[6 + i]) | static_cast<int>((fifth >> (16 + i)) & 1) << 4;
      to[i] = static_cast<float>(low - 16) * d;
      to[16 + i] = static_cast<float>(high - 16) * d;
    }
  }
}

/// As Q4_1, with fifth bits: d q + m.
void decode_q5_1(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t block = 0; block < blocks; ++block, from += 24, to += 32) {
    const float d = read_half(from), m = read_half(from + 2);
    const uint32_t fifth = read_u32(from + 4);
    for (int i = 0; i < 16; ++i) {
      const int low = low_nibble(from[8 + i]) | static_cast<int>((fifth >> i) & 1) << 4;
      const int high = high_nibble(from[8 + i]) | static_cast<int>((fifth >> (16 + i)) & 1) << 4;
      to[i] = static_cast<float>(low) * d + m;
      to[16 + i] = static_cast<float>(high) * d + m;
    }
  }
}

/// The scale and offset of 32 elements of a K block.
struct ScaleOffset {
  float d, m;
};

/// A K block begins with a half scale, a half offset scale, and 12 bytes that hold a 6-bit factor for each of them for
/// each of 8 groups: of groups 0 to 3 the low six bits of bytes 0 to 3 (scale) and 4 to 7 (offset); of groups 4 to 7
/// the low four bits are the nibbles of bytes 8 to 11 and the upper two the upper two of bytes 0 to 7.
std::array<ScaleOffset, 8> read_groups(const std::byte* from) {
  const float d = read_half(from), m = read_half(from + 2);
  const std::byte* packed = from + 4;
  const auto byte = [&](int i) { return static_cast<int>(packed[i]); };
  std::array<ScaleOffset, 8> groups{};
  for (int i = 0; i < 4; ++i) {
    groups[static_cast<size_t>(i)] = {d * static_cast<float>(byte(i) & 63), m * static_cast<float>(byte(4 + i) & 63)};
    groups[static_cast<size_t>(4 + i)] = {d * static_cast<float>(low_nibble(packed[8 + i]) | (byte(i) >> 6) << 4),
                                          m * static_cast<float>(high_nibble(packed[8 + i]) | (byte(4 + i) >> 6) << 4)};
  }
  return groups;
}

/// 8 groups of 32: of each 32 bytes the low nibbles are a group, the high ones the next: d q - m.
void decode_q4_k(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t block = 0; block < blocks; ++block, from += 144) {
    const auto groups = read_groups(from);
    const std::byte* nibbles = from + 16;
    for (size_t group = 0; group < 8; group += 2, nibbles += 32, to += 64) {
      const auto [low_d, low_m] = groups[group];
      const auto [high_d, high_m] = groups[group + 1];
      for (int i = 0; i < 32; ++i) {
        to[i] = static_cast<float>(low_nibble(nibbles[i])) * low_d - low_m;
        to[32 + i] = static_cast<float>(high_nibble(nibbles[i])) * high_d - high_m;
      }
    }
  }
}

/// The same with 32 bytes of fifth bits before the nibbles: bit g of byte i is that of element i of group g.
void decode_q5_k(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t block = 0; block < blocks; ++block, from += 176) {
    const auto groups = read_groups(from);
    const std::byte* fifth = from + 16;
    const std::byte* nibbles = from + 48;
    for (int group = 0; group < 8; group += 2, nibbles += 32, to += 64) {
      const auto [low_d, low_m] = groups[static_cast<size_t>(group)];
      const auto [high_d, high_m] = groups[static_cast<size_t>(group + 1)];
      for (int i = 0; i < 32; ++i) {
        to[i] = static_cast<float>(low_nibble(nibbles[i]) | fifth_bit(fifth[i], group)) * low_d - low_m;
        to[32 + i] = static_cast<float>(high_nibble(nibbles[i]) | fifth_bit(fifth[i], group + 1)) * high_d - high_m;
      }
    }
  }
}

/// Two halves of 128 elements, each 4 groups of 32: nibbles (64 bytes a half: the low ones of bytes 0 to 63 are groups
/// 0 and 1, the high ones 2 and 3), upper two bits (32 bytes a half: group g's are bits 2g and 2g + 1), then a signed
/// byte for every 16 elements, then a half scale: d s (q - 32).
void decode_q6_k(const std::byte* from, int64_t blocks, float* to) {
  for (int64_t block = 0; block < blocks; ++block, from += 210) {
    const std::byte* scales = from + 192;
    const float d = read_half(from + 208);
    for (int half = 0; half < 2; ++half) {
      const std::byte* nibbles = from + 64 * half;
      const std::byte* upper = from + 128 + 32 * half;
      for (int group = 0; group < 4; ++group, to += 32) {
        for (int i = 0; i < 32; ++i) {
          const std::byte pair = nibbles[32 * (group % 2) + i];
          const int low = group < 2 ? low_nibble(pair) : high_nibble(pair);
          const int q = low | ((static_cast<uint8_t>(upper[i]) >> (2 * group)) & 3) << 4;
          const auto scale = static_cast<int8_t>(scales[8 * half + 2 * group + i / 16]);
          to[i] = static_cast<float>(q - 32) * (static_cast<float>(scale) * d);
        }
      }
    }
  }
}

constexpr std::array supported = {
    Quantisation{0, "F32", 1, 4, decode_f32},        Quantisation{1, "F16", 1, 2, decode_f16},
    Quantisation{30, "BF16", 1, 2, decode_bf16},     Quantisation{8, "Q8_0", 32, 34, decode_q8_0},
    Quantisation{2, "Q4_0", 32, 18, decode_q4_0},    Quantisation{3, "Q4_1", 32, 20, decode_q4_1},
    Quantisation{6, "Q5_0", 32, 22, decode_q5_0},    Quantisation{7, "Q5_1", 32, 24, decode_q5_1},
    Quantisation{12, "Q4_K", 256, 144, decode_q4_k}, Quantisation{13, "Q5_K", 256, 176, decode_q5_k},
    Quantisation{14, "Q6_K", 256, 210, decode_q6_k},
};

/// Names of the types that a file may well have and this program cannot read, for the error's sake.
constexpr std::array<std::pair<uint32_t, std::string_view>, 7> unsupported = {
    {{9, "Q8_1"}, {10, "Q2_K"}, {11, "Q3_K"}, {15, "Q8_K"}, {16, "IQ2_XXS"}, {20, "IQ4_NL"}, {23, "IQ4_XS"}}};

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
