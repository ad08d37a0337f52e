#include "experiments/prepare_text/sword_text.h"

#include <fmt/format.h>
#include <libxml/parser.h>

#include <memory>
#include <string>

#include "engine/error.h"
#include "experiments/prepare_text/bytes.h"
#include "experiments/prepare_text/characters.h"

namespace sae::corpus {
namespace {

std::string attribute(const xmlNode* node, const char* key) {
  const std::unique_ptr<xmlChar, void (*)(void*)> value(xmlGetProp(node, reinterpret_cast<const xmlChar*>(key)),
                                                        [](void* text) { xmlFree(text); });
  return value == nullptr ? "" : reinterpret_cast<const char*>(value.get());
}

// A left-out note may have stood between two words; where it stood before punctuation there must be no space.
std::string join_punctuation(std::string_view text) {
  const std::string collapsed = collapse_space(text);
  std::string out;
  for (size_t i = 0; i < collapsed.size(); ++i) {
    const bool before_mark =
        i + 1 < collapsed.size() && (std::string_view(".,;:!?)").find(collapsed[i + 1]) != std::string_view::npos ||
                                     std::string_view(collapsed).substr(i + 1).starts_with("\u201D") ||
                                     std::string_view(collapsed).substr(i + 1).starts_with("\u2019"));
    if (collapsed[i] != ' ' || !before_mark) out += collapsed[i];
  }
  return out;
}

class OsisWalker {
 public:
  explicit OsisWalker(std::vector<Page>& pages) : pages_(pages) {}

  // libxml2 refuses documents nested deeper than 256, which bounds the recursion.
  void visit(const xmlNode* node) {
    for (; node != nullptr; node = node->next) {
      if (node->type == XML_TEXT_NODE) {
        line_ += reinterpret_cast<const char*>(node->content);
      } else if (node->type == XML_ELEMENT_NODE) {
        visit_element(node, reinterpret_cast<const char*>(node->name));
      }
    }
  }

  void flush() {
    std::string text = join_punctuation(line_);
    line_.clear();
    if (!text.empty() && !pages_.empty()) pages_.back().blocks.push_back({std::move(text)});
  }

 private:
  void visit_element(const xmlNode* node, std::string_view name) {
    if (name == "note" || name == "title" || name == "figure" || name == "reference") {
      line_ += ' ';
      return;
    }
    if (name == "chapter" && !attribute(node, "sID").empty()) {
      flush();
      pages_.push_back({attribute(node, "osisID"), {}});
    } else if (name == "div" && attribute(node, "type") == "x-p") {
      flush();
    } else if (name == "l" || name == "lb" || name == "verse") {
      line_ += ' ';
    }
    visit(node->children);
  }

  std::vector<Page>& pages_;
  std::string line_;
};

uint32_t little_endian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

std::vector<Page> osis_chapters(std::string_view markup, std::string_view name) {
  const std::string wrapped = fmt::format("<osis>{}</osis>", markup);
  constexpr int options = XML_PARSE_RECOVER | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NONET;
  const std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)> document(
      xmlReadMemory(wrapped.data(), static_cast<int>(wrapped.size()), nullptr, "UTF-8", options), xmlFreeDoc);
  CHECK(document != nullptr, "{}: expected OSIS markup, but libxml2 could make nothing of it", name);
  std::vector<Page> pages;
  OsisWalker walker(pages);
  walker.visit(xmlDocGetRootElement(document.get()));
  walker.flush();
  return pages;
}

std::vector<Page> sword_chapters(std::string_view index, std::string_view data, std::string_view name) {
  constexpr size_t entry_bytes = 12;
  CHECK(index.size() % entry_bytes == 0, "{}: index: expected entries of 12 bytes, got {} bytes", name, index.size());
  std::vector<Page> pages;
  for (size_t i = 0; i < index.size(); i += entry_bytes) {
    const uint64_t offset = little_endian(index.substr(i, 4));
    const uint64_t size = little_endian(index.substr(i + 4, 4));
    CHECK(offset + size <= data.size(), "{}: index: block {} lies outside the data of {} bytes", name, i / entry_bytes,
          data.size());
    if (size == 0) continue;
    const std::string_view block = data.substr(offset, size);
    const std::string markup = inflate(block, largest_inflated_size(block), name);
    for (Page& page : osis_chapters(markup, name)) pages.push_back(std::move(page));
  }
  return pages;
}

}  // namespace sae::corpus
