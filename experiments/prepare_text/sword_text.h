#pragma once

#include <string_view>
#include <vector>

#include "experiments/prepare_text/page.h"

namespace sae::corpus {

/// The chapters of a compressed SWORD text module (driver zText, one block a book, markup OSIS), named after their
/// osisID, as "Gen.1". `index` is a .bzs file: 12 bytes a block, little-endian offset, compressed and decompressed
/// size; `data` is the .bzz file that it points into. Notes, titles and verse marks are left out. Throws sae::Error for
/// an index that points outside the data and for broken data.
std::vector<Page> sword_chapters(std::string_view index, std::string_view data, std::string_view name);

/// The chapters of one book's OSIS markup.
std::vector<Page> osis_chapters(std::string_view markup, std::string_view name);

}  // namespace sae::corpus
