#include "models/language_model/tokenizer.h"

#include <algorithm>
#include <queue>

#include "engine/error.h"
#include "models/language_model/gguf.h"
#include "models/language_model/pre_tokenizer.h"

namespace sae {
namespace {

constexpr size_t longest_kept_word = 64;
constexpr size_t most_kept_words = 1 << 17;
/// Above this many symbols a scan for the best pair after every merge, which is quadratic, gives way to a heap.
constexpr size_t short_word = 48;

/// A merge or vocabulary entry spells every byte as one printable character: bytes that are printable in Latin-1 as
/// themselves, the others as U+0100 and on, in order. The code point of each byte:
constexpr std::array<uint32_t, 256> byte_characters() {
  std::array<uint32_t, 256> characters{};
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    characters[byte] = printable ? byte : next++;
  }
  return characters;
}

/// The bytes that such a spelling stands for, by code point; -1 for characters that stand for none.
constexpr std::array<int, 512> character_bytes() {
  std::array<int, 512> bytes{};
  bytes.fill(-1);
  const auto characters = byte_characters();
  for (int byte = 0; byte < 256; ++byte) bytes[characters[static_cast<size_t>(byte)]] = byte;
  return bytes;
}

/// False where a character of the spelling stands for no byte.
bool unspell(std::string_view spelling, std::string& bytes) {
  static constexpr int first_of_two = 0xc0;
  static constexpr auto table = character_bytes();
  bytes.clear();
  for (size_t i = 0; i < spelling.size(); ++i) {
    auto character = static_cast<uint32_t>(static_cast<unsigned char>(spelling[i]));
    if (character >= 0x80) {  // all characters in use take one or two bytes of UTF-8
      if ((character & 0xe0u) != first_of_two || i + 1 >= spelling.size()) return false;
      character = ((character & 0x1fu) << 6) | (static_cast<uint32_t>(spelling[++i]) & 0x3fu);
    }
    if (character >= table.size() || table[character] < 0) return false;
    bytes += static_cast<char>(table[character]);
  }
  return true;
}

uint64_t pair_key(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

constexpr int normal_token = 1, control_token = 3, user_defined_token = 4;

}  // namespace

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

Tokenizer::Tokenizer(const GgufFile& file) {
  const std::string_view model = file.text("tokenizer.ggml.model");
  CHECK(model == "gpt2", "{}: the tokenizer '{}' is not supported; supported: gpt2 (byte-level byte-pair encoding)",
        file.name(), model);
  pre_tokenizer_ = std::make_unique<PreTokenizer>(file.text("tokenizer.ggml.pre"));
  read_vocabulary(file);
  read_merges(file);
  const auto id_or_none = [&](const char* key) {
    const int64_t id = file.integer_or(key, -1);
    CHECK(-1 <= id && id < size(), "{}: {} is {}, outside the vocabulary of {}", file.name(), key, id, size());
    return static_cast<int32_t>(id);
  };
  end_of_turn_ = id_or_none("tokenizer.ggml.eos_token_id");
  const auto marker = std::find(bytes_.begin(), bytes_.end(), "<|endoftext|>");
  end_of_text_ = marker != bytes_.end() ? static_cast<int32_t>(marker - bytes_.begin()) : end_of_turn_;
}

void Tokenizer::read_vocabulary(const GgufFile& file) {
  const std::vector<std::string_view>& spellings = file.texts("tokenizer.ggml.tokens");
  CHECK(!spellings.empty() && spellings.size() < (1u << 30), "{}: a vocabulary of {} tokens", file.name(),
        spellings.size());
  std::vector<double> types;
  if (file.has("tokenizer.ggml.token_type")) types = file.numbers("tokenizer.ggml.token_type");
  CHECK(types.empty() || types.size() == spellings.size(), "{}: {} tokens, but {} token types", file.name(),
        spellings.size(), types.size());
  byte_ids_.fill(-1);
  for (size_t id = 0; id < spellings.size(); ++id) {
    const auto type = types.empty() ? normal_token : static_cast<int>(types[id]);
    special_.push_back(type == control_token || type == user_defined_token);
    std::string text;
    // special tokens are spelt plainly, and so are unused ones of some files
    if (special_.back() || !unspell(spellings[id], text)) text = std::string(spellings[id]);
    if (special_.back()) {
      special_ids_.push_back(static_cast<int32_t>(id));
    } else if (text.size() == 1) {
      byte_ids_[static_cast<unsigned char>(text[0])] = static_cast<int32_t>(id);
    }
    bytes_.push_back(std::move(text));
  }
  std::sort(special_ids_.begin(), special_ids_.end(), [&](int32_t a, int32_t b) {
    return bytes_[static_cast<size_t>(a)].size() > bytes_[static_cast<size_t>(b)].size();
  });
}

void Tokenizer::read_merges(const GgufFile& file) {
  const std::vector<std::string_view>& spellings = file.texts("tokenizer.ggml.tokens");
  const std::vector<std::string_view>& lines = file.texts("tokenizer.ggml.merges");
  CHECK(!lines.empty(), "{}: the list of merges is empty", file.name());
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(spellings.size());
  for (size_t id = 0; id < spellings.size(); ++id) ids.emplace(spellings[id], static_cast<int32_t>(id));
  const auto id_of = [&](std::string_view spelling, size_t line) {
    const auto found = ids.find(spelling);
    CHECK(found != ids.end(), "{}: merge {} ('{}') has the part '{}', which is no token", file.name(), line,
          lines[line], spelling);
    return found->second;
  };
  merges_.reserve(lines.size());
  std::string joined;
  for (size_t line = 0; line < lines.size(); ++line) {
    const size_t space = lines[line].find(' ', 1);
    CHECK(space != std::string_view::npos && space + 1 < lines[line].size(),
          "{}: merge {} is '{}', where two parts with a space between were expected", file.name(), line, lines[line]);
    const std::string_view left = lines[line].substr(0, space), right = lines[line].substr(space + 1);
    const uint64_t key = pair_key(id_of(left, line), id_of(right, line));
    joined = left;
    joined += right;
    merges_.emplace(key, Merge{static_cast<int32_t>(line), id_of(joined, line)});
  }
}

const Tokenizer::Merge* Tokenizer::find_merge(int32_t left, int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool special) {
  std::vector<int32_t> ids;
  encode(text, ids, special);
  return ids;
}

int64_t Tokenizer::encode(std::string_view text, std::vector<int32_t>& ids, bool special) {
  if (!special) return encode_plain(text, ids);
  int64_t lost = 0;
  while (!text.empty()) {
    size_t place = text.size();
    int32_t which = -1;
    for (const int32_t id : special_ids_) {
      const size_t found = text.substr(0, place).find(piece(id));
      if (found == std::string_view::npos || piece(id).empty()) continue;
      place = found;
      which = id;
    }
    lost += encode_plain(text.substr(0, place), ids);
    if (which < 0) break;
    ids.push_back(which);
    text.remove_prefix(place + piece(which).size());
  }
  return lost;
}

int64_t Tokenizer::encode_plain(std::string_view text, std::vector<int32_t>& ids) {
  int64_t lost = 0;
  pre_tokenizer_->split(text, [&](std::string_view word) { lost += encode_word(word, ids); });
  return lost;
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
  for (const char byte : word) {
    const int32_t id = byte_ids_[static_cast<unsigned char>(byte)];
    if (id >= 0) {
      symbols_.push_back(id);
    } else {
      ++lost;
    }
  }
  symbols_.size() <= short_word ? merge_short(symbols_) : merge_long(symbols_);
  ids.insert(ids.end(), symbols_.begin(), symbols_.end());
  if (keep && lost == 0 && words_.size() < most_kept_words) words_.emplace(word, symbols_);
  return lost;
}

/// The best pair is looked for anew after every merge; equal ranks are equal pairs, of which the first goes first.
void Tokenizer::merge_short(std::vector<int32_t>& symbols) const {
  std::array<const Merge*, short_word> next{};  // of each symbol with its right neighbour
  size_t count = symbols.size();
  for (size_t i = 0; i + 1 < count; ++i) next[i] = find_merge(symbols[i], symbols[i + 1]);
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
    if (best > 0) next[best - 1] = find_merge(symbols[best - 1], symbols[best]);
    if (best + 1 < count) next[best] = find_merge(symbols[best], symbols[best + 1]);
  }
  symbols.resize(count);
}

struct Tokenizer::Symbol {
  int32_t id;              // -1: merged into its left neighbour
  int32_t previous, next;  // places of the neighbours, -1: none
};

struct Tokenizer::Candidate {
  int32_t rank, left, right;      // places
  int32_t left_id, right_id, id;  // as they were; a candidate whose symbols have changed since is stale
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;  // the queue's top is the largest
  }
};

void Tokenizer::merge_long(std::vector<int32_t>& symbols) const {
  const auto count = static_cast<int32_t>(symbols.size());
  std::vector<Symbol> list(symbols.size());
  const auto at = [&](int32_t place) -> Symbol& { return list[static_cast<size_t>(place)]; };
  for (int32_t i = 0; i < count; ++i) at(i) = {symbols[static_cast<size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1};
  std::priority_queue<Candidate> queue;
  const auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    if (const Merge* merge = find_merge(at(left).id, at(right).id)) {
      queue.push({merge->rank, left, right, at(left).id, at(right).id, merge->id});
    }
  };
  for (int32_t i = 0; i + 1 < count; ++i) consider(i, i + 1);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    if (at(best.left).id != best.left_id || at(best.right).id != best.right_id || at(best.left).next != best.right) {
      continue;
    }
    at(best.left).id = best.id;
    at(best.left).next = at(best.right).next;
    if (at(best.right).next >= 0) at(at(best.right).next).previous = best.left;
    at(best.right).id = -1;
    consider(at(best.left).previous, best.left);
    consider(best.left, at(best.left).next);
  }
  symbols.clear();
  for (const Symbol& symbol : list) {
    if (symbol.id >= 0) symbols.push_back(symbol.id);
  }
}

std::string_view Tokenizer::piece(int32_t id) const {
  CHECK(0 <= id && id < size(), "tokenizer: no token {}; there are {}", id, size());
  return bytes_[static_cast<size_t>(id)];
}

bool Tokenizer::is_special(int32_t id) const { return special_[static_cast<size_t>(id)]; }

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) text += piece(id);
  return text;
}

}  // namespace sae
