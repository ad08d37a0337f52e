#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sae {

/// How a GGUF file stores the elements of a tensor: in blocks, each of a fixed number of bytes.
struct Quantisation {
  uint32_t type;  ///< the number in the file
  std::string_view name;
  int64_t block_elements;
  int64_t block_bytes;
  /// Turns `blocks` whole blocks into block_elements floats each.
  void (*decode)(const std::byte* from, int64_t blocks, float* to);
};

/// Null for a type that is not supported.
const Quantisation* find_quantisation(uint32_t type);
/// "Q4_1" for known types, supported or not, else "type 99".
std::string quantisation_name(uint32_t type);
/// "F32, F16, BF16, ..."
std::string supported_quantisations();

/// The elements of a tensor as floats, bit for bit what the format's own reference gives, on all threads. The number of
/// bytes must be exactly that of `to`'s elements.
void dequantise(const Quantisation& quantisation, std::span<const std::byte> from, std::span<float> to);

}  // namespace sae
