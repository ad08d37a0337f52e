#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace sae {

/// Cuts a text into the words within which byte-pair encoding merges, by a Unicode regular expression (PCRE2).
class PreTokenizer {
 public:
  /// `name` is what GGUF files write under tokenizer.ggml.pre: smollm, gpt-2, llama-bpe, qwen2, or another name that
  /// llama.cpp gives one of these. Throws, listing the names that are supported, on another.
  explicit PreTokenizer(std::string_view name);
  ~PreTokenizer();
  PreTokenizer(const PreTokenizer&) = delete;
  PreTokenizer& operator=(const PreTokenizer&) = delete;

  /// Calls `word` with every word in turn: together they are the text. Stretches that the pattern does not match, such
  /// as bytes that are no valid UTF-8, are words of their own.
  template <class Word>
  void split(std::string_view text, Word&& word) const {
    size_t at = 0;
    while (at < text.size()) {
      const Range match = find(text, at);
      if (match.begin > at) word(text.substr(at, match.begin - at));
      if (match.end > match.begin) word(text.substr(match.begin, match.end - match.begin));
      at = match.end;
    }
  }

 private:
  struct Range {
    size_t begin, end;
  };
  /// The first non-empty match from `from` on; the empty range at the end where there is none.
  Range find(std::string_view text, size_t from) const;

  struct Pattern;
  std::unique_ptr<Pattern> pattern_;
};

/// Does the name stand for Llama 3's tokenizer? In GGUF files it alone takes words that are tokens without merging.
bool is_of_llama_3(std::string_view name);
/// The name of the pattern that tokenizer.json writes as this regular expression; empty for an unknown one.
std::string_view pre_tokenizer_of(std::string_view expression);

}  // namespace sae
