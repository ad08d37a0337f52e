#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <memory_resource>

#include "engine/error.h"
#include "engine/files/json.h"
#include "engine/files/mapped_file.h"
#include "models/language_model/pre_tokenizer.h"
#include "models/language_model/tokenizer_data.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view space_mark = "\u2581";

bool given(const Json& json, std::string_view key) { return json.has(key) && !json.at(key).is_null(); }
bool flag(const Json& json, std::string_view key, bool preset) {
  return given(json, key) ? json.at(key).boolean() : preset;
}
std::string text_or(const Json& json, std::string_view key, const char* preset) {
  return given(json, key) ? json.at(key).text() : preset;
}
/// "</s>" or {"content": "</s>", ...}
std::string content(const Json& json) { return json.is_text() ? json.text() : json.at("content").text(); }

/// One of the parts into which tokenizer.json cuts the way of a text, or those of a Sequence of them.
std::vector<Json> parts(const Json& json, std::string_view key, std::string_view list) {
  if (!given(json, key)) return {};
  const Json part = json.at(key);
  if (part.at("type").text() != "Sequence") return {part};
  std::vector<Json> all;
  const Json items = part.at(list);
  for (int64_t i = 0; i < items.size(); ++i) all.push_back(items.at(i));
  return all;
}

class FolderReader {
 public:
  explicit FolderReader(const std::string& folder) : folder_(folder) {
    if (fs::exists(path("tokenizer_config.json"))) config_ = Json::read(path("tokenizer_config.json"));
    if (!config_.is_null() && !config_.is_object()) fail("{}: expected an object", path("tokenizer_config.json"));
    if (config_.is_null()) config_ = Json::object();
  }

  TokenizerData read() {
    if (fs::exists(path("tokenizer.json"))) {
      read_tokenizer_json();
    } else {
      CHECK(fs::exists(path("vocab.json")) && fs::exists(path("merges.txt")),
            "{}: neither tokenizer.json nor vocab.json with merges.txt is there; SentencePiece's own tokenizer.model "
            "is not read",
            folder_);
      read_vocabulary_files();
    }
    data_.end_of_turn = id_in_config("eos_token");
    data_.end_of_text = find_end_of_text(data_.tokens, data_.end_of_turn);
    if (data_.beginning < 0) data_.beginning = id_in_config("bos_token");
    return std::move(data_);
  }

 private:
  std::string path(const char* name) const { return (fs::path(folder_) / name).string(); }

  [[noreturn]] void refuse(const char* what, const Json& json) const {
    const std::string text = json.dump();
    constexpr size_t longest = 200;
    fail("{}: the {} {}{} is not supported", data_.source, what, text.substr(0, longest),
         text.size() > longest ? " ..." : "");
  }

  int32_t find(std::string_view spelling) const {
    const auto found = ids_.find(spelling);
    return found == ids_.end() ? -1 : found->second;
  }
  int32_t id_in_config(std::string_view key) const { return given(config_, key) ? find(content(config_.at(key))) : -1; }

  // ---- tokenizer.json

  void read_tokenizer_json() {
    data_.source = path("tokenizer.json");
    json_ = read_settings();
    const Json model = json_.at("model");
    CHECK(text_or(model, "type", "BPE") == "BPE", "{}: a tokenizer of type '{}' is not supported; supported: BPE",
          data_.source, model.at("type").text());
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      CHECK(text_or(model, key, "").empty(), "{}: a model with '{}' is not supported", data_.source, key);
    }
    data_.merges = TokenMerges::of_characters;
    read_normalizer();
    read_pre_tokenizer();
    data_.whole_words = flag(model, "ignore_merges", false) && data_.merges == TokenMerges::of_bytes;
    read_lists(model);
    read_post_processor();
  }

  /// The parts of tokenizer.json that are long.
  enum Part : size_t { vocabulary_part, merges_part, added_part, part_count };
  template <class Take>
  Json walk(Take&& take) {
    return Json::read(data_.source, {{"model/vocab", "model/merges", "added_tokens"}, std::forward<Take>(take)});
  }

  /// What the file says but for its vocabulary and merges, which are counted.
  Json read_settings() {
    return walk([&](size_t part, const std::string&, const Json& item) {
      if (part == merges_part && listed_[part] == 0) merges_come_first_ = listed_[vocabulary_part] == 0;
      ++listed_[part];
      if (part == added_part) note_added(item, item.at("id").integer());
    });
  }

  void read_lists(const Json& model) {
    CHECK(model.at("vocab").is_object() && model.at("merges").is_array(),
          "{}: expected an object 'vocab' and an array 'merges'", data_.source);
    const bool byte_fallback = flag(model, "byte_fallback", false);
    MergeReader reader(data_.source, ids_, listed_[merges_part]);
    const auto add_merge = [&](const Json& line) {
      if (reader.count() == 0) add_noted();
      if (line.is_text()) return reader.add(line.text());
      CHECK(line.size() == 2, "{}: merge {} has {} parts", data_.source, reader.count(), line.size());
      const Json left = line.at(0), right = line.at(1);
      reader.add(left.text(), right.text());
    };
    begin_vocabulary(listed_[vocabulary_part]);
    walk([&](size_t part, const std::string& spelling, const Json& item) {
      if (part == vocabulary_part) add_token(spelling, item.integer(), byte_fallback);
      if (part == merges_part && !merges_come_first_) add_merge(item);
    });
    if (merges_come_first_) {
      walk([&](size_t part, const std::string&, const Json& item) {
        if (part == merges_part) add_merge(item);
      });
    }
    data_.rules = reader.take();
    if (given(model, "unk_token")) data_.unknown = find(model.at("unk_token").text());
  }

  void read_normalizer() {
    for (const Json& part : parts(json_, "normalizer", "normalizers")) {
      const std::string type = part.at("type").text();
      if (type == "NFC") {
        data_.compose = true;
      } else if (type == "Prepend" && part.at("prepend").text() == space_mark) {
        data_.space_prefix = SpacePrefix::every_stretch;
      } else if (type == "Replace" && part.at("pattern").has("String") &&
                 part.at("pattern").at("String").text() == " " && part.at("content").text() == space_mark) {
        spaces_are_marked_ = true;
      } else {
        refuse("normalizer", part);
      }
    }
  }

  void read_pre_tokenizer() {
    bool single_digits = false;
    std::string_view pattern;
    for (const Json& part : parts(json_, "pre_tokenizer", "pretokenizers")) {
      const std::string type = part.at("type").text();
      if (type == "ByteLevel" && !flag(part, "add_prefix_space", true)) {
        data_.merges = TokenMerges::of_bytes;
        if (flag(part, "use_regex", true)) {
          if (!pattern.empty()) refuse("pre_tokenizer", json_.at("pre_tokenizer"));
          pattern = single_digits ? "smollm" : "gpt-2";
        }
      } else if (type == "Digits" && flag(part, "individual_digits", false) && pattern.empty()) {
        single_digits = true;
      } else if (type == "Split" && part.at("pattern").has("Regex") && pattern.empty() && !single_digits) {
        pattern = pre_tokenizer_of(part.at("pattern").at("Regex").text());
        if (pattern.empty() || part.at("behavior").text() != "Isolated" || flag(part, "invert", false)) {
          refuse("pre_tokenizer", part);
        }
      } else if (type == "Metaspace") {
        read_metaspace(part);
      } else if (!(type == "Split" && spaces_are_marked_ && part.at("pattern").has("String") &&
                   part.at("pattern").at("String").text() == " ")) {  // of which none are left
        refuse("pre_tokenizer", part);
      }
    }
    const bool of_bytes = data_.merges == TokenMerges::of_bytes;
    CHECK(of_bytes ? !pattern.empty() && !spaces_are_marked_ && data_.space_prefix == SpacePrefix::none
                   : pattern.empty() && !single_digits && spaces_are_marked_,
          "{}: this joining of normalizer and pre_tokenizer is not supported", data_.source);
    data_.pre_tokenizer = pattern;
  }

  void read_metaspace(const Json& part) {
    const std::string preset = flag(part, "add_prefix_space", true) ? "always" : "never";
    const std::string scheme = text_or(part, "prepend_scheme", preset.c_str());
    // where words are cut at spaces, no merge that reaches over one may be taken
    if (text_or(part, "replacement", "") != space_mark || flag(part, "split", true) ||
        data_.space_prefix != SpacePrefix::none) {
      refuse("pre_tokenizer", part);
    }
    spaces_are_marked_ = true;
    if (scheme == "always") data_.space_prefix = SpacePrefix::every_stretch_without_one;
    if (scheme == "first") data_.space_prefix = SpacePrefix::first_stretch_without_one;
  }

  /// Which token the model's text begins with, if any: the first of the template for a single text.
  void read_post_processor() {
    for (const Json& part : parts(json_, "post_processor", "processors")) {
      if (part.at("type").text() != "TemplateProcessing") continue;
      const Json single = part.at("single");
      if (single.size() == 0 || !single.at(0).has("SpecialToken")) continue;
      const std::string name = single.at(0).at("SpecialToken").at("id").text();
      data_.beginning = find(name);
      CHECK(data_.beginning >= 0, "{}: the post_processor begins with '{}', which is no token", data_.source, name);
      data_.adds_beginning = true;
    }
  }

  // ---- vocab.json and merges.txt

  void read_vocabulary_files() {
    data_.source = path("vocab.json");
    data_.merges = TokenMerges::of_bytes;
    const std::string kind = text_or(config_, "tokenizer_class", "GPT2Tokenizer");
    CHECK(kind.starts_with("GPT2Tokenizer") || kind.starts_with("Qwen2Tokenizer"),
          "{}: with vocab.json and merges.txt alone, a {} is not supported; supported: GPT2Tokenizer, Qwen2Tokenizer",
          path("tokenizer_config.json"), kind);
    data_.pre_tokenizer = kind.starts_with("GPT2") ? "gpt-2" : "qwen2";
    data_.compose = kind.starts_with("Qwen2");
    const Json all =
        Json::read(data_.source, {{""}, [&](size_t, const std::string&, const Json&) { ++listed_[vocabulary_part]; }});
    CHECK(all.is_object(), "{}: expected an object", data_.source);
    if (given(config_, "added_tokens_decoder")) {
      const Json decoder = config_.at("added_tokens_decoder");
      for (int64_t i = 0; i < decoder.size(); ++i) {
        note_added(decoder.at(i), Json::parse(decoder.key(i), path("tokenizer_config.json")).integer());
      }
    }
    begin_vocabulary(listed_[vocabulary_part]);
    Json::read(data_.source, {{""}, [&](size_t, const std::string& spelling, const Json& id) {
                                add_token(spelling, id.integer(), false);
                              }});
    add_noted();
    for (const char* key : {"bos_token", "eos_token", "unk_token"}) {
      const int32_t id = id_in_config(key);
      if (id >= 0) data_.tokens[static_cast<size_t>(id)].kind = TokenKind::control;
    }
    if (const int32_t id = find("<|endoftext|>"); id >= 0) {
      data_.tokens[static_cast<size_t>(id)].kind = TokenKind::control;
    }
    read_merges_file();
    data_.beginning = id_in_config("bos_token");
    data_.adds_beginning = flag(config_, "add_bos_token", false) && data_.beginning >= 0;
  }

  void read_merges_file() {
    const MappedFile file(path("merges.txt"));
    std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    CHECK(text.ends_with('\n'), "{}: ends within a line, at byte {}; it was cut short", file.name(), text.size());
    MergeReader merges(file.name(), ids_);
    for (bool first = true; !text.empty(); first = false) {
      const size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty() && !(first && line.starts_with("#version"))) merges.add(line);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    data_.rules = merges.take();
    check_all_made(file);
  }

  /// A list of merges that was cut at the end of a line shows by the tokens that no merge makes. Those in brackets are
  /// special, whether or not the files say so.
  void check_all_made(const MappedFile& merges) const {
    std::vector<bool> made(data_.tokens.size());
    for (const MergeRule& rule : data_.rules) made[static_cast<size_t>(rule.joined)] = true;
    for (const auto& [spelling, id] : ids_) {
      const Token& token = data_.tokens[static_cast<size_t>(id)];
      const bool bracketed = (spelling.starts_with('<') && spelling.ends_with('>')) ||
                             (spelling.starts_with('[') && spelling.ends_with(']'));
      CHECK(made[static_cast<size_t>(id)] || token.kind != TokenKind::normal || token.text.size() < 2 || bracketed,
            "{}: no merge up to its end at byte {} makes the token '{}' of {}; it was cut short", merges.name(),
            merges.size(), spelling, data_.source);
    }
  }

  // ---- both

  /// What an added token's entry says, noted until the vocabulary is there.
  struct Added {
    int64_t id;
    std::string spelling;
    bool special;
    const char* unsupported;  // what it asks for, or null
  };
  void note_added(const Json& one, int64_t id) {
    added_.push_back({id, one.at("content").text(), flag(one, "special", false), nullptr});
    for (const char* key : {"single_word", "lstrip", "rstrip"}) {
      if (flag(one, key, false)) added_.back().unsupported = key;
    }
  }

  void begin_vocabulary(size_t listed) {
    listed_tokens_ = static_cast<int64_t>(listed + added_.size());
    ids_.reserve(static_cast<size_t>(listed_tokens_));
    data_.tokens.reserve(static_cast<size_t>(listed_tokens_));
  }

  /// Makes room for a token. Ids may leave gaps, but a vocabulary is no larger than twice what the file lists.
  Token& token_at(int64_t id, std::string_view spelling) {
    CHECK(0 <= id && id < 2 * listed_tokens_, "{}: token '{}' has the id {}, but the file lists {} tokens",
          data_.source, spelling, id, listed_tokens_);
    if (id >= static_cast<int64_t>(data_.tokens.size())) {
      data_.tokens.resize(static_cast<size_t>(id) + 1, Token{"", TokenKind::unused, 0});
    }
    return data_.tokens[static_cast<size_t>(id)];
  }

  /// False where that spelling has an id already.
  bool keep_spelling(std::string_view spelling, int64_t id) {
    auto* kept = static_cast<char*>(spellings_.allocate(spelling.size(), 1));
    std::memcpy(kept, spelling.data(), spelling.size());
    return ids_.emplace(std::string_view(kept, spelling.size()), static_cast<int32_t>(id)).second;
  }

  void add_token(std::string_view spelling, int64_t id, bool byte_fallback) {
    Token& token = token_at(id, spelling);
    CHECK(token.kind == TokenKind::unused, "{}: token '{}' has the id {}, as another has", data_.source, spelling, id);
    CHECK(keep_spelling(spelling, id), "{}: the key \"{}\" is given twice in one object", data_.source, spelling);
    token.kind = TokenKind::normal;
    const int byte = byte_fallback ? unspell_byte_token(spelling) : -1;
    if (byte >= 0) {
      token.kind = TokenKind::byte;
      token.text = std::string(1, static_cast<char>(byte));
    } else if (data_.merges == TokenMerges::of_bytes) {
      if (!unspell_bytes(spelling, token.text)) token.text = spelling;
    } else {
      token.text = unspell_spaces(spelling);
    }
  }

  void add_noted() {
    for (const auto& [id, spelling, special, unsupported] : added_) {
      CHECK(unsupported == nullptr, "{}: the added token '{}' with '{}' is not supported", data_.source, spelling,
            unsupported);
      Token& token = token_at(id, spelling);
      CHECK(token.kind == TokenKind::unused || find(spelling) == id,
            "{}: the added token '{}' has the id {}, as another has", data_.source, spelling, id);
      if (find(spelling) < 0) keep_spelling(spelling, id);
      token.kind = special ? TokenKind::control : TokenKind::user_defined;
      token.text = data_.merges == TokenMerges::of_bytes ? spelling : unspell_spaces(spelling);
    }
    std::vector<Added>().swap(added_);
  }

  std::string folder_;
  TokenizerData data_;
  bool spaces_are_marked_ = false;
  Json config_, json_;
  std::array<size_t, part_count> listed_{};  // items of each part
  bool merges_come_first_ = false;
  int64_t listed_tokens_ = 0;
  std::vector<Added> added_;
  std::pmr::monotonic_buffer_resource spellings_;  // of which ids_ has views
  std::unordered_map<std::string_view, int32_t> ids_;
};

}  // namespace

TokenizerData read_tokenizer_folder(const std::string& folder) { return FolderReader(folder).read(); }

}  // namespace sae
