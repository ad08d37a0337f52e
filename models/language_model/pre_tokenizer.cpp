#include "models/language_model/pre_tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "engine/error.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace sae {
namespace {

/// Unicode's White_Space: PCRE2's \s differs from it (it has U+180E), and the tokenizers were trained with this.
constexpr std::string_view white_space =
    R"(\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

struct Known {
  std::string_view name;
  std::string_view pattern;  // @ stands for white space within a character class
};

constexpr std::array known = {
    // Each digit alone, then GPT-2's pattern on what lies between them: so white space before a digit is at the end of
    // a stretch, and all of it is one word.
    Known{"smollm", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^@\p{L}\p{N}]+|[@]+(?![^@\p{N}])|[@]+)"},
    Known{"gpt-2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^@\p{L}\p{N}]+|[@]+(?![^@])|[@]+)"},
};

std::string pattern_named(std::string_view name) {
  std::string names;
  for (const Known& one : known) {
    if (one.name == name) {
      std::string pattern;
      for (const char c : one.pattern) pattern += c == '@' ? white_space : std::string_view(&c, 1);
      return pattern;
    }
    names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  fail("tokenizer: the pre-tokenizer '{}' is not supported; supported: {}", name, names);
}

}  // namespace

struct PreTokenizer::Pattern {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  ~Pattern() {
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

PreTokenizer::PreTokenizer(std::string_view name) : pattern_(std::make_unique<Pattern>()) {
  const std::string text = pattern_named(name);
  int error = 0;
  PCRE2_SIZE at = 0;
  pattern_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                 PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &error, &at, nullptr);
  CHECK(pattern_->code != nullptr, "tokenizer: PCRE2 refuses the pattern of '{}' at character {} (error {})", name, at,
        error);
  pcre2_jit_compile(pattern_->code, PCRE2_JIT_COMPLETE);  // without it, matching is slower and gives the same
  pattern_->match = pcre2_match_data_create(1, nullptr);
  CHECK(pattern_->match != nullptr, "tokenizer: no memory for PCRE2");
}

PreTokenizer::~PreTokenizer() = default;

PreTokenizer::Range PreTokenizer::find(std::string_view text, size_t from) const {
  const int result = pcre2_match(pattern_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                 PCRE2_NOTEMPTY, pattern_->match, nullptr);
  if (result == PCRE2_ERROR_NOMATCH) return {text.size(), text.size()};
  CHECK(result > 0, "tokenizer: PCRE2 gives error {} at byte {} of a text of {} bytes", result, from, text.size());
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(pattern_->match);
  return {ends[0], ends[1]};
}

}  // namespace sae
