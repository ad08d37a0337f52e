#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sae::corpus {

/// The part of R's data model that text needs. Numbers other than integers are skipped over.
struct RValue {
  std::vector<std::string> strings;  // a character vector
  std::vector<int32_t> integers;     // an integer or logical vector
  std::vector<RValue> elements;      // a list
  std::vector<std::string> names;    // of the elements, when they have any
};

/// One value from R's serialisation in XDR ("X\n", versions 2 and 3; R Internals, section 1.8). Throws sae::Error with
/// name, offset and reason for anything truncated, oversized, nested deeper than 64, or of an unsupported kind.
RValue read_r_value(std::string_view bytes, std::string_view name);

/// The character vectors of an R package's lazy-load database, each with its variable's name: `index` and `data` are
/// the contents of its .rdx and .rdb files.
std::vector<std::pair<std::string, std::vector<std::string>>> read_lazy_load_strings(std::string_view index,
                                                                                     std::string_view data,
                                                                                     std::string_view name);

}  // namespace sae::corpus
