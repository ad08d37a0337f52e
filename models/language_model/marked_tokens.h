#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/language_model/tokenizer_data.h"

namespace sae {

/// Finds the tokens that a text is cut at before anything else: user-defined ones always, control tokens
/// (<|im_start|> and the like) when asked for.
class MarkedTokens {
 public:
  /// Keeps views of the tokens' texts.
  explicit MarkedTokens(std::span<const Token> tokens);

  struct Match {
    size_t begin, end;
    int32_t id;  ///< -1: no more; begin and end are the text's end
  };
  /// The leftmost of them, and of those that begin there the longest.
  Match find(std::string_view text, bool control) const;

 private:
  struct Entry {
    int32_t id;
    bool control;
  };
  std::unordered_map<std::string_view, Entry> entries_;
  std::array<std::vector<size_t>, 256> lengths_;  // by first byte, falling
};

}  // namespace sae
