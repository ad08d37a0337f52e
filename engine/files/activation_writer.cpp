#include "engine/files/activation_writer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <utility>

#include "engine/error.h"
#include "engine/files/activation_store.h"

namespace sae {
namespace {

/// The folder's files that belong to a store, unfinished shards included.
std::vector<std::string> store_files(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& item : std::filesystem::directory_iterator(folder)) {
    const std::string name = item.path().filename();
    const bool is_shard = name.starts_with("shard-") && (name.ends_with(".act") || name.ends_with(".act.part"));
    if (is_shard || name == store_index_name) names.push_back(name);
  }
  return names;
}

/// The row's norm, or NaN where an element is not finite.
template <class T>
float finite_norm(const T* row, int64_t width) {
  double sum = 0;
  for (int64_t i = 0; i < width; ++i) {
    const double value = static_cast<double>(static_cast<float>(row[i]));
    sum += value * value;
  }
  return std::isfinite(sum) ? static_cast<float>(std::sqrt(sum)) : std::nanf("");
}

}  // namespace

ActivationWriter::ActivationWriter(std::string folder, StoreDescription description, IfStoreExists if_exists,
                                   int64_t shard_bytes)
    : folder_(std::move(folder)), description_(std::move(description)), shard_bytes_(shard_bytes) {
  CHECK(description_.width > 0, "activation store: expected a width of at least 1, got {}", description_.width);
  CHECK(description_.dtype == Dtype::f32 || description_.dtype == Dtype::bf16,
        "activation store: rows are stored as f32 or bf16, not {}", name_of(description_.dtype));
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  CHECK(std::filesystem::is_directory(folder_), "{}: cannot be created as a folder: {}", folder_, error.message());
  const std::vector<std::string> names = store_files(folder_);
  const auto shard_count = std::count_if(names.begin(), names.end(), [](const auto& n) { return n.ends_with(".act"); });
  const bool has_index = std::filesystem::exists(path(store_index_name));
  if (if_exists == IfStoreExists::overwrite) {
    remove_store(names);
  } else if (shard_count > 0 || has_index) {
    CHECK(if_exists == IfStoreExists::resume,
          "{}: holds an activation store already; resume it, overwrite it, or choose another folder", folder_);
    resume(static_cast<size_t>(shard_count));
    is_finished_ = has_index;
  }
}

void ActivationWriter::remove_store(const std::vector<std::string>& names) const {
  std::filesystem::remove(path(store_index_name));  // first: what is left is then an unfinished store
  for (const std::string& name : names) std::filesystem::remove(path(name));
}

void ActivationWriter::resume(size_t shard_count) {
  for (size_t i = 0; i < shard_count; ++i) {
    const std::string name = path(shard_name(static_cast<int64_t>(i)));
    CHECK(std::filesystem::exists(name), "{}: is missing, and later shards are there; overwrite the store", name);
    const ActivationShard shard(name);
    CHECK(shard.description() == description_,
          "{}: belongs to another store ({}), expected {}; overwrite it, or choose another folder", name,
          to_json(shard.description()).dump(), to_json(description_).dump());
    shard.verify();
    CHECK(i == 0 || shard.has_tokens() == has_tokens_, "{}: some shards have tokens and some not", folder_);
    has_tokens_ = shard.has_tokens();
    shards_.push_back({shard.rows(), shard.checksum()});
    complete_rows_ += shard.rows();
  }
}

void ActivationWriter::reopen() {
  std::filesystem::remove(path(store_index_name));
  is_finished_ = false;
}

void ActivationWriter::append(std::span<const float> rows, std::span<const int32_t> token_ids,
                              std::span<const uint16_t> positions, std::span<const int32_t> documents) {
  CHECK(!is_finished_, "{}: the store is finished; nothing can be appended", folder_);
  const auto width = static_cast<size_t>(description_.width);
  CHECK(rows.size() % width == 0, "{}: {} values are no whole rows of width {}", folder_, rows.size(), width);
  const size_t count = rows.size() / width;
  if (count == 0) return;
  const bool with_tokens = !token_ids.empty();
  CHECK(this->rows() == 0 || with_tokens == has_tokens_, "{}: some rows have tokens and some not", folder_);
  const size_t expected = with_tokens ? count : 0;
  CHECK(token_ids.size() == expected && positions.size() == expected && documents.size() == expected,
        "{}: {} rows came with {} token ids, {} positions and {} documents", folder_, count, token_ids.size(),
        positions.size(), documents.size());

  CHECK(std::all_of(token_ids.begin(), token_ids.end(), [](int32_t id) { return id >= 0; }),
        "{}: token ids below 0 came", folder_);

  const size_t row_bytes = width * static_cast<size_t>(size_of(description_.dtype));
  std::vector<std::byte> values(count * row_bytes);
  std::vector<float> norms(count);
  std::vector<bfloat16> narrow(description_.dtype == Dtype::bf16 ? width : 0);
  for (size_t row = 0; row < count; ++row) {
    const float* source = rows.data() + row * width;
    if (description_.dtype == Dtype::bf16) {
      std::transform(source, source + width, narrow.begin(), [](float value) { return bfloat16(value); });
      norms[row] = finite_norm(narrow.data(), description_.width);
      std::memcpy(values.data() + row * row_bytes, narrow.data(), row_bytes);
    } else {
      norms[row] = finite_norm(source, description_.width);
      std::memcpy(values.data() + row * row_bytes, source, row_bytes);
    }
    CHECK(std::isfinite(norms[row]), "{}: row {} holds NaN or infinity{}; such rows cannot be stored", folder_,
          this->rows() + static_cast<int64_t>(row),
          with_tokens ? fmt::format(" (token {} at position {})", token_ids[row], positions[row]) : "");
  }
  if (!norms_.empty() && static_cast<int64_t>(values_.size() + values.size()) > shard_bytes_) flush();
  has_tokens_ = with_tokens;
  values_.insert(values_.end(), values.begin(), values.end());
  norms_.insert(norms_.end(), norms.begin(), norms.end());
  token_ids_.insert(token_ids_.end(), token_ids.begin(), token_ids.end());
  positions_.insert(positions_.end(), positions.begin(), positions.end());
  documents_.insert(documents_.end(), documents.begin(), documents.end());
}

void ActivationWriter::flush() {
  if (norms_.empty()) return;
  const std::string name = path(shard_name(static_cast<int64_t>(shards_.size())));
  const bool wide = std::any_of(token_ids_.begin(), token_ids_.end(), [](int32_t id) { return id > UINT16_MAX; });
  std::vector<uint16_t> narrow_ids;
  if (!wide) {
    for (const int32_t id : token_ids_) narrow_ids.push_back(static_cast<uint16_t>(id));
  }
  const std::span<const int32_t> wide_ids = wide ? std::span<const int32_t>(token_ids_) : std::span<const int32_t>();
  const uint32_t checksum =
      write_shard(name, description_, {values_, norms_, documents_, narrow_ids, wide_ids, positions_});
  shards_.push_back({static_cast<int64_t>(norms_.size()), checksum});
  complete_rows_ += static_cast<int64_t>(norms_.size());
  values_.clear();
  norms_.clear();
  documents_.clear();
  token_ids_.clear();
  positions_.clear();
}

void ActivationWriter::finish() {
  if (is_finished_) return;
  flush();
  CHECK(complete_rows_ > 0, "{}: no rows were given to store", folder_);
  Json shards = Json::array();
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards.push(Json::object()
                    .set("file", shard_name(static_cast<int64_t>(i)))
                    .set("rows", shards_[i].rows)
                    .set("checksum", static_cast<int64_t>(shards_[i].checksum)));
  }
  Json index = to_json(description_);
  index.set("rows", complete_rows_).set("tokens", has_tokens_ ? complete_rows_ : 0).set("shards", shards);
  index.write(path(store_index_name), IfExists::refuse);
  is_finished_ = true;
}

}  // namespace sae
