#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "experiments/prepare_text/page.h"

namespace sae::corpus {

/// The entries of a dictionary in dictd's format, as pages of some 8,000 bytes in the dictionary's order, named
/// "NAME/001" and so on. `index` holds lines "headword, offset, length" (tabs between; the numbers in dictd's
/// base 64), `text` is what they point into, already decompressed. Of an entry the paragraphs of prose remain, the
/// first one behind its headword. Throws sae::Error for a broken index or one that points outside the text.
std::vector<Page> dictionary_pages(std::string_view index, std::string_view text, const std::string& name);

}  // namespace sae::corpus
