#pragma once

#include <string_view>
#include <vector>

#include "experiments/prepare_text/page.h"

namespace sae::corpus {

/// The paragraphs and headings of an HTML page, by libxml2's error-tolerant parser. Left out: code blocks, cells of
/// tables that hold no paragraph, definition terms, footnote marks, forms, scripts, and what the page itself marks
/// as navigation, contents, index or footer. Entities and encodings are resolved; a page that declares no encoding
/// is read as UTF-8 when it is UTF-8 and as Latin-1 otherwise. `name` is for the error's text.
std::vector<Block> html_blocks(std::string_view html, std::string_view name);

/// The same of a Markdown text (CommonMark, by cmark).
std::vector<Block> markdown_blocks(std::string_view markdown, std::string_view name);

}  // namespace sae::corpus
