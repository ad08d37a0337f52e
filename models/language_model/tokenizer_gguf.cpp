#include <algorithm>
#include <array>
#include <cmath>

#include "engine/error.h"
#include "models/language_model/gguf.h"
#include "models/language_model/pre_tokenizer.h"
#include "models/language_model/tokenizer_data.h"

namespace sae {
namespace {

void read_tokens(const GgufFile& file, TokenizerData& data) {
  const std::vector<std::string_view> spellings = file.texts("tokenizer.ggml.tokens");
  std::vector<double> kinds, scores;
  if (file.has("tokenizer.ggml.token_type")) kinds = file.numbers("tokenizer.ggml.token_type");
  CHECK(kinds.empty() || kinds.size() == spellings.size(), "{}: {} tokens, but {} token types", file.name(),
        spellings.size(), kinds.size());
  if (data.merges == TokenMerges::by_score) {
    scores = file.numbers("tokenizer.ggml.scores");
    CHECK(scores.size() == spellings.size(), "{}: {} tokens, but {} scores", file.name(), spellings.size(),
          scores.size());
  }
  data.tokens.resize(spellings.size());
  for (size_t id = 0; id < spellings.size(); ++id) {
    Token& token = data.tokens[id];
    const double kind = kinds.empty() ? 1 : kinds[id];
    // 0 stands for "undefined" in the format
    CHECK(kind >= 0 && kind <= 6 && kind == std::floor(kind), "{}: token {} ('{}') has type {}; 1 to 6 are known",
          file.name(), id, spellings[id], kind);
    if (kind > 0) token.kind = static_cast<TokenKind>(static_cast<int>(kind));
    if (!scores.empty()) {
      CHECK(std::isfinite(scores[id]), "{}: token {} ('{}') has the score {}", file.name(), id, spellings[id],
            scores[id]);
      token.score = static_cast<float>(scores[id]);
    }
    token.text = std::string(spellings[id]);
    if (token.kind == TokenKind::byte) {
      const int byte = unspell_byte_token(spellings[id]);
      CHECK(byte >= 0, "{}: token {} is to be a byte, but is spelt '{}'", file.name(), id, spellings[id]);
      token.text = std::string(1, static_cast<char>(byte));
    } else if (data.merges == TokenMerges::by_score) {
      token.text = unspell_spaces(spellings[id]);
    } else if (token.kind == TokenKind::normal) {
      // unused tokens of some files are called normal, and are spelt plainly
      if (!unspell_bytes(spellings[id], token.text)) token.text = std::string(spellings[id]);
    }
  }
}

void read_merges(const GgufFile& file, TokenizerData& data) {
  const std::vector<std::string_view> spellings = file.texts("tokenizer.ggml.tokens");
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(spellings.size());
  for (size_t id = 0; id < spellings.size(); ++id) ids.emplace(spellings[id], static_cast<int32_t>(id));
  const std::vector<std::string_view> lines = file.texts("tokenizer.ggml.merges");
  MergeReader merges(file.name(), ids, lines.size());
  for (const std::string_view line : lines) merges.add(line);
  data.rules = merges.take();
}

void read_special_tokens(const GgufFile& file, TokenizerData& data) {
  const auto size = static_cast<int64_t>(data.tokens.size());
  const auto id_or = [&](const char* key, int64_t preset) {
    const int64_t id = file.integer_or(key, preset < size ? preset : -1);
    CHECK(-1 <= id && id < size, "{}: {} is {}, outside the vocabulary of {}", file.name(), key, id, size);
    return static_cast<int32_t>(id);
  };
  // Where a file is silent, llama.cpp takes SentencePiece's first three tokens for <unk>, <s> and </s>, and has the
  // text begin with the beginning token for SentencePiece and Llama 3.
  const bool by_score = data.merges == TokenMerges::by_score;
  data.unknown = by_score ? id_or("tokenizer.ggml.unknown_token_id", 0) : -1;
  data.beginning = id_or("tokenizer.ggml.bos_token_id", by_score ? 1 : -1);
  const int32_t end = id_or("tokenizer.ggml.eos_token_id", by_score ? 2 : -1);
  data.adds_beginning =
      file.boolean_or("tokenizer.ggml.add_bos_token", by_score || is_of_llama_3(data.pre_tokenizer)) &&
      data.beginning >= 0;
  data.end_of_turn = id_or("tokenizer.ggml.eot_token_id", end);
  data.end_of_text = find_end_of_text(data.tokens, end);
}

}  // namespace

TokenizerData read_tokenizer(const GgufFile& file) {
  TokenizerData data;
  data.source = file.name();
  const std::string_view model = file.text("tokenizer.ggml.model");
  if (model == "gpt2") {
    data.merges = TokenMerges::of_bytes;
    data.pre_tokenizer = file.text("tokenizer.ggml.pre");
    data.whole_words = is_of_llama_3(data.pre_tokenizer);
  } else if (model == "llama") {
    data.merges = TokenMerges::by_score;
    if (file.boolean_or("tokenizer.ggml.add_space_prefix", true)) data.space_prefix = SpacePrefix::every_stretch;
  } else {
    fail(
        "{}: the tokenizer '{}' is not supported; supported: gpt2 (byte-level byte-pair encoding), llama "
        "(SentencePiece's byte-pair encoding)",
        file.name(), model);
  }
  read_tokens(file, data);
  if (data.merges == TokenMerges::of_bytes) read_merges(file, data);
  read_special_tokens(file, data);
  return data;
}

}  // namespace sae
