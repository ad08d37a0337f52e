#include "models/language_model/dequantise.h"

#include <bit>

#include "engine/error.h"
#include "engine/files/safetensors.h"
#include "tests/models/gguf_writer.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
using testing::GgufWriter;

// Half-precision numbers by their bits.
constexpr uint16_t half_one = 0x3c00, half_two = 0x4000, half_minus_half = 0xb800, half_largest = 0x7bff,
                   half_smallest = 0x0001;

std::vector<float> decode(uint32_t type, const std::string& bytes, size_t elements) {
  std::vector<float> values(elements);
  const Quantisation* quantisation = find_quantisation(type);
  CHECK(quantisation != nullptr, "type {} is not supported", type);
  dequantise(*quantisation, std::as_bytes(std::span(bytes)), values);
  return values;
}

std::string half(uint16_t bits) { return GgufWriter::plain(bits); }

TEST(Dequantise, PlainTypes) {
  EXPECT_THAT(decode(0, GgufWriter::plain(1.5f) + GgufWriter::plain(-2e-40f), 2), ElementsAre(1.5f, -2e-40f));
  EXPECT_THAT(decode(1, half(half_one) + half(half_minus_half) + half(half_largest) + half(half_smallest), 4),
              ElementsAre(1.0f, -0.5f, 65504.0f, 0x1p-24f));
  EXPECT_THAT(decode(30, half(0x3f80) + half(0xc000), 2), ElementsAre(1.0f, -2.0f));
}

TEST(Dequantise, Q8_0) {
  std::string block = half(half_minus_half);
  for (int i = 0; i < 32; ++i) block += static_cast<char>(i == 0 ? -128 : i == 1 ? 127 : i);
  const auto values = decode(8, block, 32);
  EXPECT_EQ(values[0], 64);
  EXPECT_EQ(values[1], -63.5f);
  for (size_t i = 2; i < 32; ++i) EXPECT_EQ(values[i], -0.5f * static_cast<float>(i));
}

TEST(Dequantise, Q4) {
  // the low nibble of byte i is element i, the high one element 16 + i
  std::string nibbles;
  for (int i = 0; i < 16; ++i) nibbles += static_cast<char>(i | ((15 - i) << 4));
  const auto symmetric = decode(2, half(half_two) + nibbles, 32);
  const auto offset = decode(3, half(half_two) + half(half_minus_half) + nibbles, 32);
  for (int i = 0; i < 16; ++i) {
    const auto at = static_cast<size_t>(i);
    EXPECT_EQ(symmetric[at], 2.0f * static_cast<float>(i - 8));
    EXPECT_EQ(symmetric[16 + at], 2.0f * static_cast<float>(7 - i));
    EXPECT_EQ(offset[at], 2.0f * static_cast<float>(i) - 0.5f);
    EXPECT_EQ(offset[16 + at], 2.0f * static_cast<float>(15 - i) - 0.5f);
  }
}

TEST(Dequantise, ManyBlocksAreCutRight) {
  std::string blocks;
  for (int block = 0; block < 5000; ++block) {
    blocks += half(half_one) + std::string(32, static_cast<char>(block % 128));
  }
  const auto values = decode(8, blocks, 5000 * 32);
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<float>(i / 32 % 128)) << i;
}

// Blocks of random bytes, scales of either sign from zeros and denormals to the largest, against the `gguf` package.
TEST(Dequantise, GoldenBlocksBitForBit) {
  const SafetensorsFile golden(SAE_GOLDEN "/dequantise.safetensors");
  const auto device = Device::open(DeviceKind::cpu);
  int compared = 0;
  for (uint32_t type = 0; type < 64; ++type) {
    if (find_quantisation(type) == nullptr || type == 0) continue;  // F32 is itself
    const std::string name = quantisation_name(type);
    const auto bytes = golden.bytes(golden.entry(name + ".bytes"));
    const std::vector<float> expected = golden.read(*device, name + ".values").to_vector<float>();
    std::vector<float> values(expected.size());
    dequantise(*find_quantisation(type), bytes, values);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(expected[i]))
          << name << " element " << i << ": " << values[i] << " for " << expected[i];
    }
    ++compared;
  }
  EXPECT_EQ(compared, 10);
}

TEST(Dequantise, Refusals) {
  EXPECT_EQ(find_quantisation(10), nullptr);
  EXPECT_EQ(quantisation_name(10), "Q2_K");
  EXPECT_EQ(quantisation_name(3), "Q4_1");
  EXPECT_EQ(quantisation_name(4000), "type 4000");
  EXPECT_REFUSED(decode(8, std::string(33, '\0'), 32), "dequantise: 32 elements of Q8_0 from 33 bytes");
  EXPECT_REFUSED(decode(3, std::string(20, '\0'), 31), "dequantise: 31 elements of Q4_1");
}

}  // namespace
}  // namespace sae
