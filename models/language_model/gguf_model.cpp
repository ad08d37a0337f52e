#include <fmt/format.h>

#include "engine/error.h"
#include "models/language_model/architectures.h"
#include "models/language_model/dequantise.h"
#include "models/language_model/gguf.h"
#include "models/language_model/model_file.h"

namespace sae {
namespace {

class GgufModel final : public ModelFile {
 public:
  explicit GgufModel(const std::string& path) : file_(path) {
    name_ = settings_file_ = path;
    architecture_ = &find_architecture(Format::gguf, file_.text("general.architecture"), path);
    for (const GgufFile::TensorInfo& info : file_.tensors()) {
      StoredTensor tensor;
      tensor.name = info.name;
      tensor.file = name_;
      tensor.shape = info.shape;
      tensor.offset = info.offset;
      tensor.bytes = info.bytes;
      tensor.quantisation = find_quantisation(info.type);
      tensor.stored_as = quantisation_name(info.type);
      tensors_.emplace(info.name, std::move(tensor));
    }
  }

  Format format() const override { return Format::gguf; }
  void forget_pages() const override { file_.forget_pages(); }
  TokenizerData tokenizer() const override { return read_tokenizer(file_); }

 protected:
  std::optional<Setting> find_setting(std::string_view setting) const override {
    const std::optional<GgufValue> value = file_.find(setting_name(setting));
    if (!value.has_value()) return std::nullopt;
    if (const auto* truth = std::get_if<bool>(&*value)) return *truth;
    if (const auto* whole = std::get_if<int64_t>(&*value)) return *whole;
    if (const auto* real = std::get_if<double>(&*value)) return *real;
    if (const auto* text = std::get_if<std::string_view>(&*value)) return std::string(*text);
    if (const auto* list = std::get_if<GgufTexts>(&*value)) {
      return std::vector<std::string>(list->texts.begin(), list->texts.end());
    }
    fail("{} is a list of numbers, which is not supported there", where(setting));
  }

  std::string setting_name(std::string_view setting) const override {
    return fmt::format("{}.{}", architecture_->gguf, setting);
  }
  std::string tensor_name(std::string_view tensor) const override { return std::string(tensor); }

 private:
  GgufFile file_;
};

}  // namespace

std::shared_ptr<const ModelFile> open_gguf_model(const std::string& path) { return std::make_shared<GgufModel>(path); }

}  // namespace sae
