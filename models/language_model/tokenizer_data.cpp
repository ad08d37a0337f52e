#include "models/language_model/tokenizer_data.h"

#include <array>
#include <charconv>

#include "engine/error.h"

namespace sae {
namespace {

/// Bytes that are printable in Latin-1 are spelt as themselves, the others as U+0100 and on, in order. The code point
/// of each byte:
constexpr std::array<uint32_t, 256> byte_characters() {
  std::array<uint32_t, 256> characters{};
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    characters[byte] = printable ? byte : next++;
  }
  return characters;
}

/// The bytes that such a spelling stands for, by code point; -1 for characters that stand for none.
constexpr std::array<int, 512> character_bytes() {
  std::array<int, 512> bytes{};
  bytes.fill(-1);
  const auto characters = byte_characters();
  for (int byte = 0; byte < 256; ++byte) bytes[characters[static_cast<size_t>(byte)]] = byte;
  return bytes;
}

}  // namespace

bool unspell_bytes(std::string_view spelling, std::string& bytes) {
  static constexpr int first_of_two = 0xc0;
  static constexpr auto table = character_bytes();
  bytes.clear();
  for (size_t i = 0; i < spelling.size(); ++i) {
    auto character = static_cast<uint32_t>(static_cast<unsigned char>(spelling[i]));
    if (character >= 0x80) {  // all characters in use take one or two bytes of UTF-8
      if ((character & 0xe0u) != first_of_two || i + 1 >= spelling.size()) return false;
      character = ((character & 0x1fu) << 6) | (static_cast<uint32_t>(spelling[++i]) & 0x3fu);
    }
    if (character >= table.size() || table[character] < 0) return false;
    bytes += static_cast<char>(table[character]);
  }
  return true;
}

std::string unspell_spaces(std::string_view spelling) {
  static constexpr std::string_view mark = "\u2581";
  std::string text;
  text.reserve(spelling.size());
  while (!spelling.empty()) {
    const bool marked = spelling.starts_with(mark);
    text += marked ? ' ' : spelling[0];
    spelling.remove_prefix(marked ? mark.size() : 1);
  }
  return text;
}

int unspell_byte_token(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling[5] != '>') return -1;
  int byte = 0;
  const char* end = spelling.data() + 5;
  const auto result = std::from_chars(spelling.data() + 3, end, byte, 16);
  return result.ec == std::errc() && result.ptr == end && byte >= 0 ? byte : -1;
}

int32_t find_end_of_text(const std::vector<Token>& tokens, int32_t preset) {
  // no text has the first of these by chance, whatever kind a file says it is
  constexpr std::string_view names[] = {"<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>"};
  for (const std::string_view name : names) {
    for (size_t id = 0; id < tokens.size(); ++id) {
      if (tokens[id].text != name || (tokens[id].kind != TokenKind::control && name != names[0])) continue;
      return static_cast<int32_t>(id);
    }
  }
  return preset;
}

int32_t MergeReader::id_of(std::string_view spelling, std::string_view left, std::string_view right) const {
  const auto found = ids_.find(spelling);
  CHECK(found != ids_.end(), "{}: merge {} ('{} {}') has the part '{}', which is no token", source_, rules_.size(),
        left, right, spelling);
  return found->second;
}

void MergeReader::add(std::string_view line) {
  const size_t space = line.find(' ', 1);
  CHECK(space != std::string_view::npos && space + 1 < line.size(),
        "{}: merge {} is '{}', where two parts with a space between were expected", source_, rules_.size(), line);
  add(line.substr(0, space), line.substr(space + 1));
}

void MergeReader::add(std::string_view left, std::string_view right) {
  CHECK(!left.empty() && !right.empty(), "{}: merge {} has an empty part", source_, rules_.size());
  joined_ = left;
  joined_ += right;
  rules_.push_back({id_of(left, left, right), id_of(right, left, right), id_of(joined_, left, right)});
}

std::vector<MergeRule> MergeReader::take() {
  CHECK(!rules_.empty(), "{}: the list of merges is empty", source_);
  return std::move(rules_);
}

}  // namespace sae
