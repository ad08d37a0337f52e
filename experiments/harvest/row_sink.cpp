#include "experiments/harvest/row_sink.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "engine/device.h"
#include "engine/error.h"
#include "engine/files/safetensors.h"

namespace sae {
namespace {

class StoreSink final : public RowSink {
 public:
  StoreSink(const std::string& path, StoreDescription description, IfStoreExists if_exists, const std::string& options)
      : writer_(path, std::move(description), if_exists) {
    write_file(path + "/harvest.conf", options, IfExists::replace);
  }
  int64_t rows() const override { return writer_.rows(); }
  void append(std::span<const float> rows, std::span<const int32_t> token_ids, std::span<const uint16_t> positions,
              std::span<const int32_t> documents) override {
    if (writer_.is_finished()) writer_.reopen();  // an earlier run stored fewer tokens
    writer_.append(rows, token_ids, positions, documents);
  }
  void finish() override { writer_.finish(); }

 private:
  ActivationWriter writer_;
};

class FileSink final : public RowSink {
 public:
  FileSink(std::string path, StoreDescription description, IfStoreExists if_exists, std::string options)
      : path_(std::move(path)), description_(std::move(description)), options_(std::move(options)) {
    replace_ = if_exists == IfStoreExists::overwrite;
    CHECK(replace_ || !std::filesystem::exists(path_), "{}: exists already; give another --output, or --overwrite",
          path_);
  }
  int64_t rows() const override { return static_cast<int64_t>(values_.size()) / description_.width; }
  void append(std::span<const float> rows, std::span<const int32_t> token_ids, std::span<const uint16_t> positions,
              std::span<const int32_t> documents) override {
    for (size_t i = 0; i < rows.size(); ++i) {
      CHECK(std::isfinite(rows[i]), "{}: row {} holds NaN or infinity; such rows cannot be stored", path_,
            this->rows() + static_cast<int64_t>(i) / description_.width);
    }
    values_.insert(values_.end(), rows.begin(), rows.end());
    token_ids_.insert(token_ids_.end(), token_ids.begin(), token_ids.end());
    positions_.insert(positions_.end(), positions.begin(), positions.end());
    documents_.insert(documents_.end(), documents.begin(), documents.end());
  }
  void finish() override {
    const auto device = Device::open(DeviceKind::cpu);
    const int64_t count = rows();
    CHECK(count > 0, "{}: no rows were given to store", path_);
    std::vector<NamedTensor> tensors;
    const Tensor activations = Tensor::from(*device, {count, description_.width}, values_);
    tensors.push_back({"activations", activations.to(description_.dtype)});
    if (!token_ids_.empty()) {
      const bool wide = std::any_of(token_ids_.begin(), token_ids_.end(), [](int32_t id) { return id > UINT16_MAX; });
      std::vector<uint16_t> narrow;
      for (const int32_t id : token_ids_) narrow.push_back(static_cast<uint16_t>(id));
      tensors.push_back(
          {"token_ids", wide ? Tensor::from(*device, {count}, token_ids_) : Tensor::from(*device, {count}, narrow)});
      tensors.push_back({"positions", Tensor::from(*device, {count}, positions_)});
      tensors.push_back({"documents", Tensor::from(*device, {count}, documents_)});
    }
    Metadata metadata = description_.notes;
    metadata.emplace_back("model", description_.model);
    metadata.emplace_back("layer", std::to_string(description_.layer));
    metadata.emplace_back("site", description_.site);
    metadata.emplace_back("context_length", std::to_string(description_.context_length));
    metadata.emplace_back("options", options_);
    write_safetensors(path_, tensors, metadata, replace_ ? IfExists::replace : IfExists::refuse);
  }

 private:
  std::string path_;
  StoreDescription description_;
  std::string options_;
  bool replace_ = false;
  std::vector<float> values_;
  std::vector<uint16_t> positions_;
  std::vector<int32_t> token_ids_, documents_;
};

}  // namespace

std::unique_ptr<RowSink> open_sink(const std::string& path, StoreDescription description, IfStoreExists if_exists,
                                   const std::string& options) {
  if (path.ends_with(".safetensors")) {
    return std::make_unique<FileSink>(path, std::move(description), if_exists, options);
  }
  return std::make_unique<StoreSink>(path, std::move(description), if_exists, options);
}

}  // namespace sae
