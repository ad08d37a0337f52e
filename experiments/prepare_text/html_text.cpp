#include "experiments/prepare_text/html_text.h"

#include <cmark.h>
#include <libxml/HTMLparser.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>

#include "engine/error.h"
#include "experiments/prepare_text/characters.h"

namespace sae::corpus {
namespace {

using Names = std::set<std::string_view>;

const Names& skipped_elements() {
  static const Names names = {"applet", "aside", "audio",    "button", "canvas", "caption", "dt",    "figcaption",
                              "footer", "form",  "head",     "header", "iframe", "map",     "math",  "nav",
                              "option", "pre",   "noscript", "object", "script", "select",  "style", "svg",
                              "sup",    "title", "textarea", "video",  "input",  "template"};
  return names;
}

// Classes, ids and roles by which Sphinx, DocBook, AsciiDoc and LibreOffice mark what is no running text.
const Names& skipped_marks() {
  static const Names names = {"DEBUG",          "contents",      "copyright",     "doc-toc",      "docutils-toc",
                              "footer",         "footnotes",     "header",        "headerlink",   "highlight",
                              "indexterm",      "indextable",    "legalnotice",   "listingblock", "literalblock",
                              "mobile-nav",     "navfooter",     "navheader",     "navigation",   "noprint",
                              "programlisting", "related",       "relatedtopics", "relatedbody",  "revhistory",
                              "screen",         "sphinxsidebar", "synopsis",      "toc",          "toctree-wrapper",
                              "TopLeftHeader",  "verseblock"};
  return names;
}

const Names& inline_elements() {
  static const Names names = {"a",    "abbr", "acronym", "b",    "bdo",  "big",   "cite", "code",   "data",
                              "del",  "dfn",  "em",      "font", "i",    "img",   "ins",  "kbd",    "label",
                              "mark", "nobr", "q",       "s",    "samp", "small", "span", "strike", "strong",
                              "sub",  "time", "tt",      "u",    "var",  "wbr"};
  return names;
}

std::string_view text_of(const xmlChar* text) {
  return text == nullptr ? std::string_view{} : std::string_view(reinterpret_cast<const char*>(text));
}

// Hidden elements are left out, except that LibreOffice's help hides every variant of a passage, and the scripts that
// would show one are not run: of those the default stays.
bool is_hidden(const xmlNode* node) {
  bool hidden = false, default_variant = false;
  for (const xmlAttr* attribute = node->properties; attribute != nullptr; attribute = attribute->next) {
    const std::string_view key = text_of(attribute->name);
    const std::string_view value = attribute->children == nullptr ? "" : text_of(attribute->children->content);
    hidden = hidden || key == "hidden";
    default_variant = default_variant || (key == "id" && value.starts_with("default"));
  }
  return hidden && !default_variant;
}

bool has_skipped_mark(const xmlNode* node) {
  if (is_hidden(node)) return true;
  for (const xmlAttr* attribute = node->properties; attribute != nullptr; attribute = attribute->next) {
    const std::string_view key = text_of(attribute->name);
    if (key != "class" && key != "id" && key != "role") continue;
    std::string_view value = attribute->children == nullptr ? "" : text_of(attribute->children->content);
    while (!value.empty()) {
      const size_t end = std::min(value.find(' '), value.size());
      if (skipped_marks().contains(value.substr(0, end))) return true;
      value.remove_prefix(std::min(end + 1, value.size()));
    }
  }
  return false;
}

class Walker {
 public:
  explicit Walker(std::vector<Block>& blocks) : blocks_(blocks) {}

  // libxml2 refuses documents nested deeper than 256, which bounds the recursion.
  void visit(const xmlNode* node) {
    for (; node != nullptr; node = node->next) {
      if (node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) {
        add_text(text_of(node->content));
      } else if (node->type == XML_ELEMENT_NODE) {
        visit_element(node, text_of(node->name));
      }
    }
  }

  void flush(bool heading = false, bool keep = true) {
    std::string text = collapse_space(line_);
    line_.clear();
    breaks_ = 0;
    if (keep && !text.empty()) blocks_.push_back({std::move(text), heading});
  }

 private:
  void visit_element(const xmlNode* node, std::string_view name) {
    if (name == "br") {
      line_ += ' ';
      if (++breaks_ == 2) flush();
      return;
    }
    if (inline_elements().contains(name)) {
      if (!has_skipped_mark(node)) visit(node->children);
      return;
    }
    if (name == "sup") return;  // a footnote's mark does not end the paragraph
    flush();
    if (skipped_elements().contains(name) || has_skipped_mark(node)) return;
    visit(node->children);
    const bool heading = name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6';
    const bool bare_cell = name == "td" || name == "th";
    flush(heading, !bare_cell);
  }

  void add_text(std::string_view text) {
    if (text.find_first_not_of(" \t\r\n") != std::string_view::npos) breaks_ = 0;
    line_ += text;
  }

  std::vector<Block>& blocks_;
  std::string line_;
  int breaks_ = 0;  // <br> since the last text
};

}  // namespace

std::vector<Block> html_blocks(std::string_view html, std::string_view name) {
  std::vector<Block> blocks;
  if (html.empty()) return blocks;
  const std::string_view head = html.substr(0, 2048);
  const bool declares =
      head.find("charset") != std::string_view::npos || head.find("encoding=") != std::string_view::npos;
  const char* encoding = declares ? nullptr : is_valid_utf8(html) ? "UTF-8" : "ISO-8859-1";
  constexpr int options = HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET;
  const std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)> document(
      htmlReadMemory(html.data(), static_cast<int>(html.size()), nullptr, encoding, options), xmlFreeDoc);
  CHECK(document != nullptr, "{}: expected HTML, but libxml2 could make nothing of it", name);
  Walker walker(blocks);
  walker.visit(xmlDocGetRootElement(document.get()));
  walker.flush();
  return blocks;
}

std::vector<Block> markdown_blocks(std::string_view markdown, std::string_view name) {
  const std::unique_ptr<char, decltype(&std::free)> html(
      cmark_markdown_to_html(markdown.data(), markdown.size(), CMARK_OPT_DEFAULT), std::free);
  CHECK(html != nullptr, "{}: cmark could not read the Markdown", name);
  return html_blocks(html.get(), name);
}

}  // namespace sae::corpus
