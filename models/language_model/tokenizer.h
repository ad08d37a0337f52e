#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/language_model/tokenizer_data.h"

namespace sae {

class MarkedTokens;
class PreTokenizer;
class RankedMerges;
class ScoredMerges;

/// Byte-pair encoding in the forms that language models use (see TokenMerges), from a model's own files.
///
/// Bytes that are no valid UTF-8 are encoded as the bytes they are. What the vocabulary has no token for becomes its
/// bytes' tokens, or else the unknown token; where there is neither (SmolLM2 lacks 21 byte values, such as 0xff) it is
/// left out, as llama.cpp does, and encode() counts it.
///
/// Not for use by several threads at once: it keeps the words it has seen.
class Tokenizer {
 public:
  /// Throws, naming the file, on data that contradict each other.
  explicit Tokenizer(TokenizerData data);
  /// From a GGUF file's metadata; see read_tokenizer.
  explicit Tokenizer(const GgufFile& file) : Tokenizer(read_tokenizer(file)) {}
  /// From a Hugging Face folder; see read_tokenizer_folder.
  static Tokenizer from_folder(const std::string& folder) { return Tokenizer(read_tokenizer_folder(folder)); }
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  /// The padding that an embedding may have behind its last token does not count.
  int64_t size() const { return static_cast<int64_t>(data_.tokens.size()); }

  /// Appends the text's tokens. With `special`, the texts of special tokens (<|im_start|> and the like) become those
  /// tokens; without, they are read as the characters they are. No token is added at the beginning. Returns the number
  /// of bytes that the vocabulary cannot express.
  int64_t encode(std::string_view text, std::vector<int32_t>& ids, bool special = false);
  std::vector<int32_t> encode(std::string_view text, bool special = false);

  /// The text of the tokens, without the space that encoding puts before it. Throws on an id that is none.
  std::string decode(std::span<const int32_t> ids) const;
  /// The bytes of one token; a part of a character, maybe.
  std::string_view piece(int32_t id) const;
  bool is_special(int32_t id) const;

  /// The token that stands before a text; -1 where the files name none. Whether the model expects it:
  int32_t beginning_of_text() const { return data_.beginning; }
  bool adds_beginning() const { return data_.adds_beginning; }
  /// The token that stands between documents, and ends a text; -1 where the files name none.
  int32_t end_of_text() const { return data_.end_of_text; }
  /// The token with which a chat model ends its turn; -1 where the files name none.
  int32_t end_of_turn() const { return data_.end_of_turn; }

 private:
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  void check() const;
  int64_t encode_stretch(std::string_view text, bool first, std::vector<int32_t>& ids);
  int64_t encode_word(std::string_view word, std::vector<int32_t>& ids);
  int64_t encode_characters(std::string_view text, std::vector<int32_t>& ids);
  /// The tokens of bytes that are no token together.
  int64_t fall_back(std::string_view bytes, std::vector<int32_t>& ids) const;
  bool begins_stretch(std::span<const int32_t> before) const;

  TokenizerData data_;
  std::array<int32_t, 256> byte_ids_{};
  std::unordered_map<std::string_view, int32_t> texts_;  // of tokens that plain text can become
  std::unique_ptr<MarkedTokens> marked_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;  // of_bytes
  std::unique_ptr<RankedMerges> ranked_;         // of_bytes, of_characters
  std::unique_ptr<ScoredMerges> scored_;         // by_score
  std::unordered_map<std::string, std::vector<int32_t>, TextHash, std::equal_to<>> words_;
  std::vector<int32_t> symbols_;  // scratch of encode_word
};

}  // namespace sae
