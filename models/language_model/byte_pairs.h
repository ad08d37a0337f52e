#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "models/language_model/tokenizer_data.h"

namespace sae {

/// Byte-pair encoding: the pair of neighbours that stands highest in a list becomes one token, the leftmost of equals
/// first, until no pair is in the list.
class RankedMerges {
 public:
  explicit RankedMerges(std::span<const MergeRule> rules);
  void merge(std::vector<int32_t>& symbols) const;

 private:
  struct Merge {
    int32_t rank;  // position in the list: lower is merged first
    int32_t id;    // what the two become
  };
  struct PairHash {
    size_t operator()(uint64_t pair) const { return static_cast<size_t>((pair ^ (pair >> 29)) * 0x9e3779b97f4a7c15u); }
  };
  const Merge* find(int32_t left, int32_t right) const;
  void merge_short(std::vector<int32_t>& symbols) const;
  void merge_long(std::vector<int32_t>& symbols) const;

  std::unordered_map<uint64_t, Merge, PairHash> merges_;
};

/// SentencePiece's form of it: neighbours merge where their joint text is a token, the highest score first, the
/// leftmost of equals. Control, unknown and byte tokens take no part; an unused token is cut again into the two it was
/// made of.
class ScoredMerges {
 public:
  /// Keeps views of the tokens' texts.
  explicit ScoredMerges(std::span<const Token> tokens);

  struct Piece {
    std::string_view text;
    int32_t id;  ///< -1: a character that is no token
  };
  /// The pieces of a text that starts as its characters (a byte that is no valid UTF-8 is one of its own).
  std::vector<Piece> pieces(std::string_view text) const;

 private:
  struct Entry {
    int32_t id;
    float score;
    bool unused;
  };
  const Entry* find(std::string_view text) const;

  std::unordered_map<std::string_view, Entry> entries_;
};

}  // namespace sae
