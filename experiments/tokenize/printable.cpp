#include "experiments/tokenize/printable.h"

#include <fmt/format.h>

#include <cstdint>

#include "models/language_model/utf8.h"

namespace sae {
std::string printable(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const size_t length = character_length(bytes);
    if (length == 0) {
      text += fmt::format("<0x{:02X}>", static_cast<uint8_t>(bytes[0]));
    } else {
      text += bytes.substr(0, length);
    }
    bytes.remove_prefix(length == 0 ? 1 : length);
  }
  return text;
}

}  // namespace sae
