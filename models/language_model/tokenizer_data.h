#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sae {

class GgufFile;

/// What an entry of a vocabulary is; the numbers are those of GGUF files.
enum class TokenKind { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct Token {
  std::string text;  ///< the bytes that it stands for
  TokenKind kind = TokenKind::normal;
  float score = 0;  ///< of `TokenMerges::by_score`
};

enum class TokenMerges {
  of_bytes,       ///< words by a pattern, each as its bytes, merged by a ranked list (GPT-2)
  of_characters,  ///< the whole text as characters, merged by a ranked list (tokenizer.json of Llama 2, Gemma)
  by_score,       ///< the same where any joint text that is a token may merge, highest score first (SentencePiece)
};

/// Whether a space is put before a stretch of text (between special tokens), and taken off again by decoding.
enum class SpacePrefix {
  none,
  every_stretch,              ///< SentencePiece and llama.cpp: one more, even where there is one
  every_stretch_without_one,  ///< Metaspace, "always"
  first_stretch_without_one,  ///< Metaspace, "first"
};

/// A pair of neighbours that becomes one token; a list of them is in order of rank.
struct MergeRule {
  int32_t left, right, joined;
};

/// What a tokenizer is, however its files spell it. Ids are places in `tokens`; -1: there is none.
struct TokenizerData {
  std::string source;  ///< the file, for errors
  TokenMerges merges = TokenMerges::of_bytes;
  std::vector<Token> tokens;
  std::vector<MergeRule> rules;  ///< not for by_score
  std::string pre_tokenizer;     ///< of_bytes: see pre_tokenizer.h
  bool whole_words = false;      ///< of_bytes: a word that is a token is that token, whatever the rules give
  bool compose = false;          ///< text is brought to normal form C first
  SpacePrefix space_prefix = SpacePrefix::none;
  int32_t unknown = -1, beginning = -1, end_of_text = -1, end_of_turn = -1;
  bool adds_beginning = false;  ///< the model expects the beginning token before a text
};

/// The tokenizers `gpt2` and `llama` of a GGUF file's metadata. Throws, naming the file and what is missing.
TokenizerData read_tokenizer(const GgufFile& file);
/// tokenizer.json of a Hugging Face folder, or vocab.json with merges.txt, and what tokenizer_config.json adds. Throws,
/// naming the file, the place in it, and what is not supported.
TokenizerData read_tokenizer_folder(const std::string& folder);

/// The token that ends a document: the one of a well-known name, else `preset`.
int32_t find_end_of_text(const std::vector<Token>& tokens, int32_t preset);

/// Turns merges written as texts into rules.
class MergeReader {
 public:
  /// `ids` finds the vocabulary's spellings; room is made for `expected` merges.
  MergeReader(std::string source, const std::unordered_map<std::string_view, int32_t>& ids, size_t expected = 0)
      : source_(std::move(source)), ids_(ids) {
    rules_.reserve(expected);
  }

  /// "left right". Throws where a part, or the two together, is no token.
  void add(std::string_view line);
  void add(std::string_view left, std::string_view right);
  size_t count() const { return rules_.size(); }
  /// Throws where there are none.
  std::vector<MergeRule> take();

 private:
  int32_t id_of(std::string_view spelling, std::string_view left, std::string_view right) const;

  std::string source_;
  const std::unordered_map<std::string_view, int32_t>& ids_;
  std::vector<MergeRule> rules_;
  std::string joined_;
};

/// The bytes that a byte-level vocabulary's entry stands for: every byte is spelt as one printable character. False
/// where a character stands for none.
bool unspell_bytes(std::string_view spelling, std::string& bytes);
/// The text with SentencePiece's U+2581 as the space it stands for.
std::string unspell_spaces(std::string_view spelling);
/// "<0xE6>" stands for that byte; -1 for anything else.
int unspell_byte_token(std::string_view spelling);

}  // namespace sae
