#include "experiments/prepare_text/plain_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "experiments/prepare_text/characters.h"

namespace sae::corpus {
namespace {

// Takes the next line off the text, without its end.
std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r\f\v") == std::string_view::npos; }

// "Chapter" and a number, perhaps with a title: no sentence that begins with the word.
bool begins_chapter(std::string_view line) {
  if (!line.starts_with("CHAPTER ") && !line.starts_with("Chapter ")) return false;
  line.remove_prefix(8);
  const size_t number = std::min(line.find_first_not_of("0123456789IVXLC"), line.size());
  return number > 0 && (number == line.size() || line[number] == '.' || line[number] == '\r');
}

std::string without_emphasis(std::string_view line) {
  std::string out(line);
  std::erase(out, '_');
  return out;
}

std::string_view inside_gutenberg_frame(std::string_view text) {
  if (const size_t begin = text.find("*** START OF"); begin != std::string_view::npos) {
    text.remove_prefix(begin);
    take_line(text);
  }
  for (std::string_view mark : {"End of Project Gutenberg", "End of the Project Gutenberg", "*** END OF"}) {
    text = text.substr(0, text.find(mark));
  }
  return text;
}

}  // namespace

std::vector<Block> paragraphs(std::string_view text) {
  std::vector<Block> blocks;
  std::string joined;
  auto flush = [&] {
    std::string paragraph = collapse_space(joined);
    joined.clear();
    if (!paragraph.empty()) blocks.push_back({std::move(paragraph)});
  };
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (is_blank(line)) {
      flush();
    } else {
      joined += line;
      joined += '\n';
    }
  }
  flush();
  return blocks;
}

std::vector<Page> chapters(std::string_view novel, const std::string& name) {
  std::vector<Page> pages;
  std::string body;
  auto close = [&] {
    if (!pages.empty()) {
      for (Block& block : paragraphs(body)) pages.back().blocks.push_back(std::move(block));
    }
    body.clear();
  };
  std::string_view text = inside_gutenberg_frame(novel);
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (begins_chapter(line)) {
      close();
      pages.push_back({fmt::format("{}/{:03}", name, pages.size() + 1), {{collapse_space(line), true}}});
    } else {
      body += without_emphasis(line);
      body += '\n';
    }
  }
  close();
  // A table of contents makes chapters of one line.
  std::erase_if(pages, [](const Page& page) { return page.blocks.size() < 3; });
  return pages;
}

}  // namespace sae::corpus
