#include "models/language_model/marked_tokens.h"

#include <algorithm>
#include <functional>

namespace sae {

MarkedTokens::MarkedTokens(std::span<const Token> tokens) {
  for (size_t id = 0; id < tokens.size(); ++id) {
    const Token& token = tokens[id];
    const bool control = token.kind == TokenKind::control || token.kind == TokenKind::unknown;
    if (token.text.empty() || (!control && token.kind != TokenKind::user_defined)) continue;
    entries_.emplace(token.text, Entry{static_cast<int32_t>(id), control});
    std::vector<size_t>& lengths = lengths_[static_cast<unsigned char>(token.text[0])];
    const auto place = std::lower_bound(lengths.begin(), lengths.end(), token.text.size(), std::greater<>());
    if (place == lengths.end() || *place != token.text.size()) lengths.insert(place, token.text.size());
  }
}

MarkedTokens::Match MarkedTokens::find(std::string_view text, bool control) const {
  if (!entries_.empty()) {
    for (size_t begin = 0; begin < text.size(); ++begin) {
      for (const size_t length : lengths_[static_cast<unsigned char>(text[begin])]) {
        if (length > text.size() - begin) continue;
        const auto found = entries_.find(text.substr(begin, length));
        if (found == entries_.end() || (found->second.control && !control)) continue;
        return {begin, begin + length, found->second.id};
      }
    }
  }
  return {text.size(), text.size(), -1};
}

}  // namespace sae
