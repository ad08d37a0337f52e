#include "experiments/prepare_text/dictionary_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "engine/error.h"
#include "experiments/prepare_text/characters.h"
#include "experiments/prepare_text/plain_text.h"

namespace sae::corpus {
namespace {

int64_t parse_base64_number(std::string_view digits, std::string_view name) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  CHECK(!digits.empty() && digits.size() <= 7, "{}: index: expected a number of one to seven digits, got '{}'", name,
        digits);
  int64_t value = 0;
  for (const char digit : digits) {
    const size_t position = alphabet.find(digit);
    CHECK(position != std::string_view::npos, "{}: index: '{}' is no number in dictd's base 64", name, digits);
    value = value * 64 + static_cast<int64_t>(position);
  }
  return value;
}

// Where the entries lie, in order; several headwords may share one. Entries about the dictionary itself are left out.
std::set<std::pair<int64_t, int64_t>> entry_places(std::string_view index, int64_t size, std::string_view name) {
  std::set<std::pair<int64_t, int64_t>> places;
  while (!index.empty()) {
    const size_t end = std::min(index.find('\n'), index.size());
    const std::string_view line = index.substr(0, end);
    index.remove_prefix(std::min(end + 1, index.size()));
    if (line.empty() || line.starts_with("00database") || line.starts_with("00-database")) continue;
    const size_t first = line.find('\t');
    const size_t second = first == std::string_view::npos ? first : line.find('\t', first + 1);
    CHECK(second != std::string_view::npos, "{}: index: expected headword, offset and length, got '{}'", name, line);
    const std::string_view rest = line.substr(second + 1);
    const int64_t offset = parse_base64_number(line.substr(first + 1, second - first - 1), name);
    const int64_t length = parse_base64_number(rest.substr(0, rest.find('\t')), name);
    CHECK(offset <= size && length <= size - offset, "{}: index: '{}' lies outside the text of {} bytes", name, line,
          size);
    places.emplace(offset, length);
  }
  return places;
}

// The dictionaries' markup: {links}, a leading <subject>, _emphasis_.
std::string without_markup(std::string_view text) {
  std::string out;
  if (text.starts_with('<')) text.remove_prefix(std::min(text.find('>') + 1, text.size()));
  for (const char c : text) {
    if (c != '{' && c != '}' && c != '_') out += c;
  }
  return collapse_space(out);
}

// An entry begins with its headword alone on a line; lines with synonyms or the part of speech may follow.
std::vector<Block> entry_blocks(std::string_view entry) {
  constexpr size_t longest_headword = 60;
  std::vector<Block> blocks;
  std::string headword(entry.substr(0, std::min(entry.find('\n'), entry.size())));
  headword = collapse_space(headword);
  if (is_prose(headword) || headword.size() > longest_headword) headword.clear();
  for (Block& block : paragraphs(entry)) {
    std::string text = without_markup(block.text);
    if (is_prose(text)) {
      blocks.push_back({headword.empty() ? std::move(text) : fmt::format("{}: {}", headword, text)});
      headword.clear();
    }
  }
  return blocks;
}

}  // namespace

std::vector<Page> dictionary_pages(std::string_view index, std::string_view text, const std::string& name) {
  constexpr size_t page_bytes = 8000;
  std::vector<Page> pages;
  size_t bytes = page_bytes;
  for (const auto& [offset, length] : entry_places(index, static_cast<int64_t>(text.size()), name)) {
    if (bytes >= page_bytes) {
      pages.push_back({fmt::format("{}/{:03}", name, pages.size() + 1), {}});
      bytes = 0;
    }
    for (Block& block : entry_blocks(text.substr(static_cast<size_t>(offset), static_cast<size_t>(length)))) {
      bytes += block.text.size();
      pages.back().blocks.push_back(std::move(block));
    }
  }
  return pages;
}

}  // namespace sae::corpus
