#include "models/language_model/tokenizer.h"

#include <algorithm>

#include "engine/error.h"
#include "models/language_model/byte_pairs.h"
#include "models/language_model/marked_tokens.h"
#include "models/language_model/pre_tokenizer.h"
#include "models/language_model/utf8.h"

namespace sae {
namespace {

constexpr size_t longest_kept_word = 64;
constexpr size_t most_kept_words = 1 << 17;

}  // namespace

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer::Tokenizer(TokenizerData data) : data_(std::move(data)) {
  check();
  const bool of_bytes = data_.merges == TokenMerges::of_bytes;
  byte_ids_.fill(-1);
  const bool looks_up_texts = data_.whole_words || data_.merges == TokenMerges::of_characters;
  if (looks_up_texts) texts_.reserve(data_.tokens.size());
  for (size_t i = 0; i < data_.tokens.size(); ++i) {
    const Token& token = data_.tokens[i];
    const auto id = static_cast<int32_t>(i);
    const bool is_byte = of_bytes ? token.kind == TokenKind::normal : token.kind == TokenKind::byte;
    if (is_byte && token.text.size() == 1) byte_ids_[static_cast<unsigned char>(token.text[0])] = id;
    if (looks_up_texts && (token.kind == TokenKind::normal || token.kind == TokenKind::user_defined)) {
      texts_.emplace(token.text, id);
    }
  }
  marked_ = std::make_unique<MarkedTokens>(data_.tokens);
  if (of_bytes) pre_tokenizer_ = std::make_unique<PreTokenizer>(data_.pre_tokenizer);
  if (data_.merges == TokenMerges::by_score) {
    scored_ = std::make_unique<ScoredMerges>(data_.tokens);
  } else {
    ranked_ = std::make_unique<RankedMerges>(data_.rules);
    std::vector<MergeRule>().swap(data_.rules);
  }
}

void Tokenizer::check() const {
  CHECK(!data_.tokens.empty() && data_.tokens.size() < (1u << 30), "{}: a vocabulary of {} tokens", data_.source,
        data_.tokens.size());
  const auto is_id = [&](int32_t id) { return -1 <= id && id < size(); };
  for (const int32_t id : {data_.unknown, data_.beginning, data_.end_of_text, data_.end_of_turn}) {
    CHECK(is_id(id), "{}: a special token is {}, outside the vocabulary of {}", data_.source, id, size());
  }
  for (const MergeRule& rule : data_.rules) {
    CHECK(rule.left >= 0 && rule.right >= 0 && rule.joined >= 0 && is_id(rule.left) && is_id(rule.right) &&
              is_id(rule.joined),
          "{}: a merge of tokens {} and {} to {}, outside the vocabulary of {}", data_.source, rule.left, rule.right,
          rule.joined, size());
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool special) {
  std::vector<int32_t> ids;
  encode(text, ids, special);
  return ids;
}

int64_t Tokenizer::encode(std::string_view text, std::vector<int32_t>& ids, bool special) {
  int64_t lost = 0;
  for (bool first = true; !text.empty(); first = false) {
    const MarkedTokens::Match match = marked_->find(text, special);
    if (match.begin > 0) lost += encode_stretch(text.substr(0, match.begin), first, ids);
    if (match.id >= 0) ids.push_back(match.id);
    text.remove_prefix(match.end);
  }
  return lost;
}

int64_t Tokenizer::encode_stretch(std::string_view text, bool first, std::vector<int32_t>& ids) {
  std::string changed;
  if (data_.compose) {
    changed = compose(text);
    text = changed;
  }
  if (data_.merges == TokenMerges::of_bytes) {
    int64_t lost = 0;
    pre_tokenizer_->split(text, [&](std::string_view word) { lost += encode_word(word, ids); });
    return lost;
  }
  changed = unspell_spaces(text);  // a text's own U+2581 are spaces to the model
  const SpacePrefix prefix = data_.space_prefix;
  const bool wanted = prefix != SpacePrefix::none && (first || prefix != SpacePrefix::first_stretch_without_one);
  if (wanted && (prefix == SpacePrefix::every_stretch || changed[0] != ' ')) changed.insert(0, 1, ' ');
  return encode_characters(changed, ids);
}

int64_t Tokenizer::encode_word(std::string_view word, std::vector<int32_t>& ids) {
  const bool keep = word.size() <= longest_kept_word;
  if (keep) {
    const auto found = words_.find(word);
    if (found != words_.end()) {
      ids.insert(ids.end(), found->second.begin(), found->second.end());
      return 0;
    }
  }
  int64_t lost = 0;
  symbols_.clear();
  const auto whole = data_.whole_words ? texts_.find(word) : texts_.end();
  if (whole != texts_.end()) {
    symbols_.push_back(whole->second);
  } else {
    for (size_t i = 0; i < word.size(); ++i) lost += fall_back(word.substr(i, 1), symbols_);
    ranked_->merge(symbols_);
  }
  ids.insert(ids.end(), symbols_.begin(), symbols_.end());
  if (keep && lost == 0 && words_.size() < most_kept_words) words_.emplace(word, symbols_);
  return lost;
}

int64_t Tokenizer::encode_characters(std::string_view text, std::vector<int32_t>& ids) {
  int64_t lost = 0;
  if (data_.merges == TokenMerges::by_score) {
    for (const ScoredMerges::Piece& piece : scored_->pieces(text)) {
      if (piece.id >= 0) {
        ids.push_back(piece.id);
      } else {
        lost += fall_back(piece.text, ids);
      }
    }
    return lost;
  }
  std::vector<int32_t> symbols;
  while (!text.empty()) {
    const std::string_view character = text.substr(0, std::max<size_t>(character_length(text), 1));
    const auto found = texts_.find(character);
    if (found != texts_.end()) {
      symbols.push_back(found->second);
    } else {
      lost += fall_back(character, symbols);
    }
    text.remove_prefix(character.size());
  }
  ranked_->merge(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
  return lost;
}

int64_t Tokenizer::fall_back(std::string_view bytes, std::vector<int32_t>& ids) const {
  const auto id_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  if (std::all_of(bytes.begin(), bytes.end(), [&](char byte) { return id_of(byte) >= 0; })) {
    for (const char byte : bytes) ids.push_back(id_of(byte));
    return 0;
  }
  // a run of unknown characters is one unknown token
  if (data_.unknown >= 0 && (ids.empty() || ids.back() != data_.unknown)) ids.push_back(data_.unknown);
  return static_cast<int64_t>(bytes.size());
}

std::string_view Tokenizer::piece(int32_t id) const {
  CHECK(0 <= id && id < size(), "tokenizer: no token {}; there are {}", id, size());
  return data_.tokens[static_cast<size_t>(id)].text;
}

bool Tokenizer::is_special(int32_t id) const {
  const TokenKind kind = data_.tokens[static_cast<size_t>(id)].kind;
  return kind == TokenKind::control || kind == TokenKind::user_defined || kind == TokenKind::unknown;
}

bool Tokenizer::begins_stretch(std::span<const int32_t> before) const {
  if (data_.space_prefix == SpacePrefix::none) return false;
  if (data_.space_prefix != SpacePrefix::first_stretch_without_one) return before.empty() || is_special(before.back());
  return std::all_of(before.begin(), before.end(), [&](int32_t id) { return is_special(id); });
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (size_t i = 0; i < ids.size(); ++i) {
    std::string_view next = piece(ids[i]);
    if (!is_special(ids[i]) && next.starts_with(' ') && begins_stretch(ids.first(i))) next.remove_prefix(1);
    text += next;
  }
  return text;
}

}  // namespace sae
