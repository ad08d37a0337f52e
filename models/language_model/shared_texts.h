#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sae {

/// Texts of one batch, laid out so that what neighbours begin with alike stands in rows once: what a causal model
/// makes of a token depends on no later one.
struct SharedTexts {
  int64_t length = 0;             ///< of the longest text
  std::vector<int32_t> tokens;    ///< of the rows
  std::vector<int32_t> ends;      ///< [texts]: the row of each text's last token
  std::vector<int32_t> row_at;    ///< [texts * length]: the row at each position; beyond a text's end its last
  std::vector<int32_t> place_of;  ///< [rows]: where in row_at the row stands first

  /// None of the texts may be empty. Shares what a text and the one before it begin with: sort them.
  explicit SharedTexts(std::span<const std::span<const int32_t>> texts);
};

/// How many tokens two texts have in common before the first that differs.
int64_t common_beginning(std::span<const int32_t> a, std::span<const int32_t> b);

}  // namespace sae
