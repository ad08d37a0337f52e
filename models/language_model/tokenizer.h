#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sae {

class GgufFile;
class PreTokenizer;

/// Byte-level byte-pair encoding (the tokenizer of GPT-2 and of most models since), from a model file's metadata.
///
/// A text is cut into words by the model's pattern; a word starts as its bytes, and the pair of neighbours that stands
/// highest in the list of merges becomes one token until no pair is in the list. Bytes that are no valid UTF-8 are
/// encoded as the bytes they are. A byte for which the vocabulary has no token (SmolLM2's lacks 21, such as 0xff) is
/// left out, as llama.cpp does; encode() counts them.
///
/// Not for use by several threads at once: it keeps the words it has seen.
class Tokenizer {
 public:
  /// Throws, naming the file and what is missing: tokens, merges, a merge of unknown tokens, a pre-tokenizer or model
  /// of tokenizer that is not supported.
  explicit Tokenizer(const GgufFile& file);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }

  /// Appends the text's tokens. With `special`, the texts of special tokens (<|im_start|> and the like) become those
  /// tokens; without, they are read as the characters they are. No token is added at the beginning. Returns the number
  /// of bytes that the vocabulary cannot express.
  int64_t encode(std::string_view text, std::vector<int32_t>& ids, bool special = false);
  std::vector<int32_t> encode(std::string_view text, bool special = false);

  /// The bytes of the tokens, one after the other. Throws on an id that is none.
  std::string decode(std::span<const int32_t> ids) const;
  /// The bytes of one token; a part of a character, maybe.
  std::string_view piece(int32_t id) const;
  bool is_special(int32_t id) const;

  /// The token that stands between documents, and ends a text; -1 where the file names none.
  int32_t end_of_text() const { return end_of_text_; }
  /// The token with which a chat model ends its turn; -1 where the file names none.
  int32_t end_of_turn() const { return end_of_turn_; }

 private:
  struct Merge {
    int32_t rank;  // position in the list: lower is merged first
    int32_t id;    // what the two become
  };
  struct PairHash {
    size_t operator()(uint64_t pair) const { return static_cast<size_t>((pair ^ (pair >> 29)) * 0x9e3779b97f4a7c15u); }
  };
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Symbol;
  struct Candidate;

  void read_vocabulary(const GgufFile& file);
  void read_merges(const GgufFile& file);
  const Merge* find_merge(int32_t left, int32_t right) const;
  int64_t encode_plain(std::string_view text, std::vector<int32_t>& ids);
  int64_t encode_word(std::string_view word, std::vector<int32_t>& ids);
  void merge_short(std::vector<int32_t>& symbols) const;
  void merge_long(std::vector<int32_t>& symbols) const;

  std::vector<std::string> bytes_;  // of each token
  std::vector<bool> special_;
  std::vector<int32_t> special_ids_;  // longest text first
  std::array<int32_t, 256> byte_ids_{};
  std::unordered_map<uint64_t, Merge, PairHash> merges_;
  std::unordered_map<std::string, std::vector<int32_t>, TextHash, std::equal_to<>> words_;
  std::vector<int32_t> symbols_;  // scratch of encode_word
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  int32_t end_of_text_ = -1;
  int32_t end_of_turn_ = -1;
};

}  // namespace sae
