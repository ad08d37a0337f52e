#include "models/language_model/byte_pairs.h"

#include <algorithm>
#include <array>
#include <queue>

#include "models/language_model/utf8.h"

namespace sae {
namespace {

/// Above this many symbols a scan for the best pair after every merge, which is quadratic, gives way to a heap.
constexpr size_t short_word = 48;

uint64_t pair_key(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

/// Neighbours in a list that shrinks: merging a place drops the one after it.
class Neighbours {
 public:
  explicit Neighbours(size_t count) {
    for (size_t i = 0; i < count; ++i) links_.push_back({static_cast<int32_t>(i) - 1, static_cast<int32_t>(i) + 1});
    if (count > 0) links_.back().next = -1;
  }
  int32_t previous(int32_t place) const { return at(place).previous; }
  int32_t next(int32_t place) const { return at(place).next; }
  void drop_next(int32_t place) {
    const int32_t after = at(at(place).next).next;
    at(place).next = after;
    if (after >= 0) at(after).previous = place;
  }

 private:
  struct Link {
    int32_t previous, next;  // -1: none
  };
  const Link& at(int32_t place) const { return links_[static_cast<size_t>(place)]; }
  Link& at(int32_t place) { return links_[static_cast<size_t>(place)]; }
  std::vector<Link> links_;
};

}  // namespace

RankedMerges::RankedMerges(std::span<const MergeRule> rules) {
  merges_.reserve(rules.size());
  int32_t rank = 0;
  for (const MergeRule& rule : rules) merges_.emplace(pair_key(rule.left, rule.right), Merge{rank++, rule.joined});
}

const RankedMerges::Merge* RankedMerges::find(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void RankedMerges::merge(std::vector<int32_t>& symbols) const {
  symbols.size() <= short_word ? merge_short(symbols) : merge_long(symbols);
}

/// The best pair is looked for anew after every merge; equal ranks are equal pairs, of which the first goes first.
void RankedMerges::merge_short(std::vector<int32_t>& symbols) const {
  std::array<const Merge*, short_word> next{};  // of each symbol with its right neighbour
  size_t count = symbols.size();
  for (size_t i = 0; i + 1 < count; ++i) next[i] = find(symbols[i], symbols[i + 1]);
  while (count > 1) {
    size_t best = count;
    for (size_t i = 0; i + 1 < count; ++i) {
      if (next[i] != nullptr && (best == count || next[i]->rank < next[best]->rank)) best = i;
    }
    if (best == count) break;
    symbols[best] = next[best]->id;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      next[i] = next[i + 1];
    }
    --count;
    next[count - 1] = nullptr;
    if (best > 0) next[best - 1] = find(symbols[best - 1], symbols[best]);
    if (best + 1 < count) next[best] = find(symbols[best], symbols[best + 1]);
  }
  symbols.resize(count);
}

void RankedMerges::merge_long(std::vector<int32_t>& symbols) const {
  struct Candidate {
    int32_t rank, left, right;      // places
    int32_t left_id, right_id, id;  // as they were; a candidate whose symbols have changed since is stale
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : left > other.left;  // the queue's top is the largest
    }
  };
  constexpr int32_t merged = -1;
  Neighbours neighbours(symbols.size());
  const auto id_at = [&](int32_t place) -> int32_t& { return symbols[static_cast<size_t>(place)]; };
  std::priority_queue<Candidate> queue;
  const auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    if (const Merge* found = find(id_at(left), id_at(right))) {
      queue.push({found->rank, left, right, id_at(left), id_at(right), found->id});
    }
  };
  const auto count = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i + 1 < count; ++i) consider(i, i + 1);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    if (id_at(best.left) != best.left_id || id_at(best.right) != best.right_id) continue;
    if (neighbours.next(best.left) != best.right) continue;
    id_at(best.left) = best.id;
    id_at(best.right) = merged;
    neighbours.drop_next(best.left);
    consider(neighbours.previous(best.left), best.left);
    consider(best.left, neighbours.next(best.left));
  }
  std::erase(symbols, merged);
}

ScoredMerges::ScoredMerges(std::span<const Token> tokens) {
  entries_.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    const Token& token = tokens[id];
    const bool merges =
        token.kind == TokenKind::normal || token.kind == TokenKind::user_defined || token.kind == TokenKind::unused;
    if (!merges || token.text.empty()) continue;
    entries_.emplace(token.text, Entry{static_cast<int32_t>(id), token.score, token.kind == TokenKind::unused});
  }
}

const ScoredMerges::Entry* ScoredMerges::find(std::string_view text) const {
  const auto found = entries_.find(text);
  return found == entries_.end() ? nullptr : &found->second;
}

std::vector<ScoredMerges::Piece> ScoredMerges::pieces(std::string_view text) const {
  struct Candidate {
    float score;
    int32_t left, right;  // places
    size_t length;        // of the two as they were; a candidate whose symbols have changed since is stale
    bool operator<(const Candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;  // the queue's top is the largest
    }
  };
  std::vector<std::string_view> symbols;  // empty: merged into the one before it
  for (std::string_view left = text; !left.empty(); left.remove_prefix(symbols.back().size())) {
    symbols.push_back(left.substr(0, std::max<size_t>(character_length(left), 1)));
  }
  const auto at = [&](int32_t place) -> std::string_view& { return symbols[static_cast<size_t>(place)]; };
  Neighbours neighbours(symbols.size());
  std::priority_queue<Candidate> queue;
  std::unordered_map<std::string_view, size_t> first_parts;  // of unused tokens: the bytes of their first part
  const auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const std::string_view joined(at(left).data(), at(left).size() + at(right).size());
    const Entry* found = find(joined);
    if (found == nullptr) return;
    queue.push({found->score, left, right, joined.size()});
    if (found->unused) first_parts.insert_or_assign(joined, at(left).size());
  };
  const auto count = static_cast<int32_t>(symbols.size());
  for (int32_t i = 0; i + 1 < count; ++i) consider(i, i + 1);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    if (at(best.left).empty() || at(best.right).empty()) continue;
    if (at(best.left).size() + at(best.right).size() != best.length) continue;
    at(best.left) = std::string_view(at(best.left).data(), best.length);
    at(best.right) = {};
    neighbours.drop_next(best.left);
    consider(neighbours.previous(best.left), best.left);
    consider(best.left, neighbours.next(best.left));
  }
  std::vector<Piece> result;
  std::vector<std::string_view> open;  // what is still to be written, the next last
  for (const std::string_view symbol : symbols) {
    if (!symbol.empty()) open.push_back(symbol);
    while (!open.empty()) {
      const std::string_view piece = open.back();
      open.pop_back();
      const Entry* found = find(piece);
      const auto cut = first_parts.find(piece);
      if (found != nullptr && found->unused && cut != first_parts.end()) {
        open.push_back(piece.substr(cut->second));
        open.push_back(piece.substr(0, cut->second));
      } else {
        result.push_back({piece, found != nullptr ? found->id : -1});
      }
    }
  }
  return result;
}

}  // namespace sae
