#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "engine/error.h"
#include "engine/files/json.h"
#include "engine/files/safetensors.h"
#include "models/language_model/architectures.h"
#include "models/language_model/dequantise.h"
#include "models/language_model/model_file.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

constexpr const char* whole_file = "model.safetensors";
constexpr const char* index_file = "model.safetensors.index.json";

/// The way in which GGUF stores elements likewise, or null.
const Quantisation* quantisation_of(std::string_view stored_dtype) {
  constexpr std::pair<std::string_view, uint32_t> numbers[] = {{"F32", 0}, {"F16", 1}, {"BF16", 30}};
  for (const auto& [name, number] : numbers) {
    if (name == stored_dtype) return find_quantisation(number);
  }
  return nullptr;
}

class HuggingFaceFolder final : public ModelFile {
 public:
  explicit HuggingFaceFolder(const std::string& path) {
    name_ = path;
    settings_file_ = (fs::path(path) / "config.json").string();
    CHECK(fs::exists(settings_file_),
          "{}: no config.json in this folder; name a folder as Hugging Face lays it out, or "
          "a GGUF file",
          path);
    config_ = Json::read(settings_file_);
    architecture_ = &find_architecture(Format::hugging_face, config_.at("model_type").text(), settings_file_);
    read_tensors();
  }

  Format format() const override { return Format::hugging_face; }
  void forget_pages() const override {
    for (const auto& file : files_) file->forget_pages();
  }
  TokenizerData tokenizer() const override { return read_tokenizer_folder(name_); }

 protected:
  std::optional<Setting> find_setting(std::string_view setting) const override {
    for (const NamePair& pair : architecture_->settings) {
      if (pair.gguf != setting) continue;
      const std::optional<Json> value = find(pair.hugging_face);
      if (value.has_value()) return convert(*value, setting);
    }
    return std::nullopt;
  }

  std::string setting_name(std::string_view setting) const override {
    std::string first;
    for (const NamePair& pair : architecture_->settings) {
      if (pair.gguf != setting) continue;
      if (find(pair.hugging_face).has_value()) return std::string(pair.hugging_face);
      if (first.empty()) first = pair.hugging_face;
    }
    return first.empty() ? std::string(setting) : first;
  }

  /// "blk.3.attn_q.bias" becomes "model.layers.3.self_attn.q_proj.bias", in parts: what stands for blk.3, for attn_q,
  /// and what is last. Files that were saved without the outermost name are found without it.
  std::string tensor_name(std::string_view tensor) const override {
    const size_t last = tensor.rfind('.');
    std::string_view part = tensor.substr(0, last);
    std::string block;
    if (part.starts_with("blk.")) {
      const size_t number_end = part.find('.', 4);
      block = fmt::format("{}.{}.", architecture_->blocks, part.substr(4, number_end - 4));
      part = part.substr(number_end + 1);
    }
    for (const NamePair& pair : architecture_->tensors) {
      if (pair.gguf != part) continue;
      const std::string inner = fmt::format("{}{}{}", block, pair.hugging_face, tensor.substr(last));
      const std::string outer = fmt::format("{}.{}", architecture_->outermost, inner);
      return tensors_.contains(inner) ? inner : outer;
    }
    return std::string(tensor);  // there is none
  }

 private:
  /// The value at a path of names with dots between them; null counts as missing.
  std::optional<Json> find(std::string_view path) const {
    Json at = config_;
    while (true) {
      const size_t dot = path.find('.');
      const std::string_view key = path.substr(0, dot);
      if (!at.is_object() || !at.has(key)) return std::nullopt;
      at = at.at(key);
      if (dot == std::string_view::npos) break;
      path.remove_prefix(dot + 1);
    }
    return at.is_null() ? std::nullopt : std::optional<Json>(at);
  }

  Setting convert(const Json& value, std::string_view setting) const {
    if (value.is_text()) return value.text();
    if (value.is_array()) return value.texts();
    CHECK(!value.is_object(), "{} is an object; expected one value", where(setting));
    if (value.is_boolean()) return value.boolean();
    if (value.is_integer()) return value.integer();
    return value.number();
  }

  void read_tensors() {
    const fs::path folder(name_);
    std::set<std::string> names;
    std::optional<Json> places;
    if (fs::exists(folder / whole_file)) {
      names.insert(whole_file);
    } else {
      const std::string index = (folder / index_file).string();
      CHECK(fs::exists(index), "{}: neither {} nor {} is in this folder; other formats of weights are not read", name_,
            whole_file, index_file);
      places = Json::read(index).at("weight_map");
      for (int64_t i = 0; i < places->size(); ++i) {
        const std::string shard = places->at(i).text();
        CHECK(!shard.empty() && shard.find('/') == std::string::npos && shard.ends_with(".safetensors"),
              "{}: tensor '{}' is said to lie in '{}', which is no name of a shard", index, places->key(i), shard);
        names.insert(shard);
      }
    }
    // their addresses are kept
    for (const std::string& file : names) files_.push_back(std::make_unique<SafetensorsFile>((folder / file).string()));
    for (const auto& file : files_) add_tensors(*file);
    for (int64_t i = 0; places.has_value() && i < places->size(); ++i) {
      const std::string shard = (folder / places->at(i).text()).string();
      const auto found = tensors_.find(places->key(i));
      CHECK(found != tensors_.end() && found->second.file == shard, "{}: has no tensor '{}', though {} says so", shard,
            places->key(i), index_file);
    }
  }

  void add_tensors(const SafetensorsFile& file) {
    for (const SafetensorsFile::Entry& entry : file.entries()) {
      StoredTensor tensor;
      tensor.name = entry.name;
      tensor.file = file.name();
      tensor.shape = entry.shape;
      tensor.offset = static_cast<uint64_t>(entry.offset);
      tensor.bytes = file.bytes(entry);
      tensor.quantisation = quantisation_of(entry.stored_dtype);
      tensor.stored_as = entry.stored_dtype;
      const auto [place, is_new] = tensors_.emplace(entry.name, std::move(tensor));
      CHECK(is_new, "{}: the tensor '{}' is in {} too", file.name(), entry.name, place->second.file);
    }
  }

  Json config_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
};

}  // namespace

std::shared_ptr<const ModelFile> open_hugging_face_folder(const std::string& path) {
  return std::make_shared<HuggingFaceFolder>(path);
}

}  // namespace sae
