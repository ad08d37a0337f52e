#include <algorithm>
#include <array>
#include <utility>

#include "experiments/prepare_text/characters.h"
#include "experiments/prepare_text/plain_text.h"

namespace sae::corpus {
namespace {

// E<name>: the names that Perl's own documents use, and decimal character numbers.
std::string named_character(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> names = {{{"lt", "<"},
                                                                                   {"gt", ">"},
                                                                                   {"sol", "/"},
                                                                                   {"verbar", "|"},
                                                                                   {"eacute", "\u00E9"},
                                                                                   {"auml", "\u00E4"},
                                                                                   {"ouml", "\u00F6"},
                                                                                   {"uuml", "\u00FC"}}};
  for (const auto& [key, value] : names) {
    if (key == name) return std::string(value);
  }
  return " ";
}

// What a link shows: L<text|target>, or the target itself.
std::string_view shown_text(std::string_view link) {
  const size_t bar = link.find('|');
  if (bar != std::string_view::npos) return link.substr(0, bar);
  return link.substr(link.starts_with('/') ? 1 : 0);
}

std::string resolve(std::string_view& text, std::string_view closing, int depth);

// A formatting code at the front of the text: a capital letter and one or more '<'.
std::string resolve_code(std::string_view& text, int depth) {
  const char code = text[0];
  size_t angles = 1;
  while (angles + 1 < text.size() && text[angles + 1] == '<') ++angles;
  text.remove_prefix(1 + angles);
  std::string closing(angles > 1 ? 1 : 0, ' ');
  closing.append(angles, '>');
  std::string inside = resolve(text, closing, depth + 1);
  switch (code) {
    case 'X':
    case 'Z':
      return "";
    case 'E':
      return named_character(inside);
    case 'L':
      return std::string(shown_text(inside));
    default:
      return inside;
  }
}

// Resolves up to and with `closing`, or to the end.
std::string resolve(std::string_view& text, std::string_view closing, int depth) {
  constexpr int deepest = 32;  // Perl's own documents nest three deep
  std::string out;
  while (!text.empty()) {
    if (!closing.empty() && text.starts_with(closing)) {
      text.remove_prefix(closing.size());
      return out;
    }
    if (depth < deepest && text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && text[1] == '<') {
      out += resolve_code(text, depth);
    } else {
      out += text[0];
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string resolved(std::string_view text) { return collapse_space(resolve(text, "", 0)); }

std::string_view first_word(std::string_view text) { return text.substr(0, text.find_first_of(" \t\r\n")); }

}  // namespace

std::vector<Block> pod_blocks(std::string_view pod) {
  std::vector<Block> blocks;
  bool inside_other_format = false;
  while (!pod.empty()) {
    size_t end = pod.find("\n\n");
    if (end == std::string_view::npos) end = pod.size();
    std::string_view paragraph = pod.substr(0, end);
    pod.remove_prefix(std::min(pod.find_first_not_of('\n', end), pod.size()));
    if (paragraph.starts_with('=')) {
      const std::string_view command = first_word(paragraph);
      if (command == "=begin") inside_other_format = true;
      if (command == "=end") inside_other_format = false;
      if (inside_other_format || !command.starts_with("=head")) continue;
      paragraph.remove_prefix(command.size());
      if (std::string text = resolved(paragraph); !text.empty()) blocks.push_back({std::move(text), true});
    } else if (!inside_other_format && !paragraph.starts_with(' ') && !paragraph.starts_with('\t')) {
      if (std::string text = resolved(paragraph); !text.empty()) blocks.push_back({std::move(text)});
    }
  }
  return blocks;
}

}  // namespace sae::corpus
