#include "experiments/prepare_text/characters.h"

namespace sae::corpus {
namespace {

bool is_ascii_letter(unsigned char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

// Length of the well-formed UTF-8 sequence at the front (Unicode 15, table 3-7), or 0.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  auto in = [&](size_t i, int low, int high) { return byte(i) >= low && byte(i) <= high; };
  const int first = byte(0);
  if (first < 0x80) return first == 0 ? 0 : 1;
  if (first >= 0xC2 && first <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const int low = first == 0xE0 ? 0xA0 : 0x80;
    const int high = first == 0xED ? 0x9F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const int low = first == 0xF0 ? 0x90 : 0x80;
    const int high = first == 0xF4 ? 0x8F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

// Bytes of the white space at the front, or 0.
size_t space_length(std::string_view text) {
  const unsigned char c = static_cast<unsigned char>(text[0]);
  if (c == ' ' || (c >= '\t' && c <= '\r')) return 1;
  for (std::string_view space : {"\u00A0", "\u200B", "\uFEFF", "\u2009", "\u202F", "\u2003", "\u2002"}) {
    if (text.starts_with(space)) return space.size();
  }
  return 0;
}

uint64_t mix(uint64_t x) {  // the finaliser of splitmix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

constexpr uint64_t fnv_offset = 0xCBF29CE484222325u;
constexpr uint64_t fnv_prime = 0x100000001B3u;

// Calls visit(begin, end) for each word.
template <class Visit>
void for_each_word(std::string_view text, Visit visit) {
  size_t begin = 0;
  bool inside = false;
  auto close = [&](size_t end) {
    if (inside) visit(begin, end);
    inside = false;
  };
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const bool punctuation = text.substr(i, 2) == "\xE2\x80" || text.substr(i, 2) == "\xE2\x81";
    const bool part_of_word = is_ascii_letter(c) || is_digit(c) || (c >= 0x80 && !punctuation);
    if (!part_of_word) {
      close(i);
    } else if (!inside) {
      inside = true;
      begin = i;
    }
    i += punctuation ? 3 : 1;
  }
  close(text.size());
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string collapse_space(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool pending = false;
  while (!text.empty()) {
    const size_t space = space_length(text);
    const unsigned char c = static_cast<unsigned char>(text[0]);
    if (space > 0) {
      pending = true;
      text.remove_prefix(space);
    } else if (c < 0x20 || c == 0x7F) {
      text.remove_prefix(1);
    } else if (text.starts_with("\u00AD")) {
      text.remove_prefix(2);
    } else {
      if (pending && !out.empty()) out += ' ';
      pending = false;
      out += text[0];
      text.remove_prefix(1);
    }
  }
  return out;
}

std::vector<uint64_t> word_hashes(std::string_view text) {
  std::vector<uint64_t> hashes;
  for_each_word(text, [&](size_t begin, size_t end) {
    uint64_t hash = fnv_offset;
    for (size_t i = begin; i < end; ++i) {
      unsigned char c = static_cast<unsigned char>(text[i]);
      if (c >= 'A' && c <= 'Z') c = static_cast<unsigned char>(c + ('a' - 'A'));
      hash = (hash ^ c) * fnv_prime;
    }
    hashes.push_back(mix(hash));
  });
  return hashes;
}

int64_t count_words(std::string_view text) {
  int64_t words = 0;
  for_each_word(text, [&](size_t, size_t) { ++words; });
  return words;
}

bool is_prose(std::string_view paragraph, int64_t min_words) {
  if (count_words(paragraph) < min_words) return false;
  int64_t letters = 0, visible = 0, gaps = 0;
  for (const char character : paragraph) {
    const unsigned char c = static_cast<unsigned char>(character);
    gaps += c == ' ';
    visible += c != ' ';
    letters += is_ascii_letter(c) || c >= 0x80;
  }
  if (gaps + 1 < min_words || letters * 100 < visible * 75) return false;  // an address has words but no gaps
  constexpr std::string_view ends = ".?!:;)]\"'";
  if (ends.find(paragraph.back()) != std::string_view::npos) return true;
  return paragraph.ends_with("\u201D") || paragraph.ends_with("\u2019") || paragraph.ends_with("\u2026");
}

uint64_t seeded_hash(uint64_t seed, std::string_view text) {
  uint64_t hash = mix(seed + 0x9E3779B97F4A7C15u) ^ fnv_offset;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * fnv_prime;
  return mix(hash);
}

}  // namespace sae::corpus
