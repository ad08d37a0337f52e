#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/prepare_text/page.h"

namespace sae::corpus {

enum class Split { train, validation, test };
constexpr Split splits[] = {Split::train, Split::validation, Split::test};

/// What a model reads without a break: a stretch of a page of some thousand bytes, paragraphs apart by blank lines.
struct Document {
  std::string id;    // "source/page#3"
  std::string text;  // UTF-8
  int64_t source = 0;
  Split split = Split::train;
};

/// How documents are made from pages.
struct DocumentRules {
  bool only_prose = true;               // leave out paragraphs that are no sentences
  int64_t min_bytes = 400;              // shorter documents are left out
  int64_t min_bytes_at_heading = 2000;  // a heading ends a document that is at least so long
  int64_t max_bytes = 6000;             // a paragraph's end does, in any case, from here on
};

struct DocumentCounts {
  int64_t repeated_paragraphs = 0;  // seen on more than two pages of the source
  int64_t licence_texts = 0;
  int64_t too_short = 0;
  int64_t invalid_utf8 = 0;  // pages
};

/// Cuts a source's pages into documents; a page of more than 40,000 bytes first into pages of some 20,000, at headings.
/// Left out, and counted: pages with invalid UTF-8, paragraphs of eight words or more that stand on more than two of
/// the source's pages (notices, footers), documents that are licence texts, and what is too short. A heading stays only
/// with a paragraph behind it.
std::vector<Document> make_documents(const std::string& source, int64_t source_index, std::vector<Page> pages,
                                     const DocumentRules& rules, DocumentCounts& counts);

}  // namespace sae::corpus
