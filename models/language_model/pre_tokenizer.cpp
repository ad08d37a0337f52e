#include "models/language_model/pre_tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <utility>

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
  std::string_view pattern;     // @ stands for white space within a character class
  std::string_view expression;  // the same as tokenizer.json writes it; empty where no file does
};

constexpr std::array known = {
    // Each digit alone, then GPT-2's pattern on what lies between them: so white space before a digit is at the end of
    // a stretch, and all of it is one word.
    Known{"smollm", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+|\p{N}| ?[^@\p{L}\p{N}]+|[@]+(?![^@\p{N}])|[@]+)", ""},
    Known{"gpt-2", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^@\p{L}\p{N}]+|[@]+(?![^@])|[@]+)",
          R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"},
    Known{"llama-bpe",
          R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^@\p{L}\p{N}]+[\r\n]*|)"
          R"([@]*[\r\n]+|[@]+(?![^@])|[@]+)",
          R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
          R"(\s*[\r\n]+|\s+(?!\S)|\s+)"},
    Known{"qwen2",
          R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^@\p{L}\p{N}]+[\r\n]*|)"
          R"([@]*[\r\n]+|[@]+(?![^@])|[@]+)",
          R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
          R"(\s*[\r\n]+|\s+(?!\S)|\s+)"},
};

/// Other names that GGUF files have for these patterns.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> aliases = {{{"llama3", "llama-bpe"},
                                                                                   {"llama-v3", "llama-bpe"},
                                                                                   {"phi-2", "gpt-2"},
                                                                                   {"olmo", "gpt-2"},
                                                                                   {"deepseek-r1-qwen", "qwen2"}}};

std::string_view without_alias(std::string_view name) {
  for (const auto& [alias, meant] : aliases) {
    if (alias == name) return meant;
  }
  return name;
}

std::string pattern_named(std::string_view name) {
  std::string names;
  for (const Known& one : known) {
    if (one.name == without_alias(name)) {
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

bool is_of_llama_3(std::string_view name) { return without_alias(name) == "llama-bpe"; }

std::string_view pre_tokenizer_of(std::string_view expression) {
  for (const Known& one : known) {
    if (!expression.empty() && one.expression == expression) return one.name;
  }
  return {};
}

}  // namespace sae
