#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "experiments/prepare_text/page.h"

namespace sae::corpus {

/// Paragraphs of plain text: they end at blank lines, and their lines are joined.
std::vector<Block> paragraphs(std::string_view text);

/// A novel's chapters, named "NAME/001" and so on: a new one begins at each line that reads "Chapter 7" or
/// "CHAPTER VII. Its title". What stands before the first chapter, and Project Gutenberg's frame, is left out.
/// Underscores that mark emphasis are dropped.
std::vector<Page> chapters(std::string_view novel, const std::string& name);

/// The paragraphs of Perl's documentation format (man page perlpod): verbatim blocks, index entries and blocks for
/// other formatters are left out, formatting codes are resolved.
std::vector<Block> pod_blocks(std::string_view pod);

}  // namespace sae::corpus
