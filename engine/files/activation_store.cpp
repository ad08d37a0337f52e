#include "engine/files/activation_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "engine/error.h"
#include "engine/parallel.h"

namespace sae {

ActivationStore::ActivationStore(std::string folder) : folder_(std::move(folder)) {
  const std::string index_path = folder_ + "/" + store_index_name;
  CHECK(std::filesystem::is_directory(folder_), "{}: expected the folder of an activation store, there is none",
        folder_);
  CHECK(std::filesystem::exists(index_path),
        "{}: has no {}: it is no activation store, or its harvest did not finish and must be resumed", folder_,
        store_index_name);
  const Json index = Json::read(index_path);
  try {
    description_ = read_description(index);
  } catch (const Error& error) {
    fail("{}: {}", index_path, error.what());
  }
  open_shards(index);
  parallel_for(static_cast<int64_t>(shards_.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) shards_[static_cast<size_t>(i)].verify();
  });
  collect_columns();
}

std::string ActivationStore::fingerprint() const {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a over each shard's rows and checksum
  const auto mix = [&](uint64_t word) {
    for (int shift = 0; shift < 64; shift += 8) hash = (hash ^ ((word >> shift) & 0xff)) * 0x100000001b3u;
  };
  for (const ActivationShard& shard : shards_) {
    mix(static_cast<uint64_t>(shard.rows()));
    mix(shard.checksum());
  }
  return fmt::format("{:016x}", hash);
}

void ActivationStore::open_shards(const Json& index) {
  const Json list = index.at("shards");
  CHECK(list.is_array() && list.size() > 0, "{}: {} lists no shards", folder_, store_index_name);
  for (int64_t i = 0; i < list.size(); ++i) {
    const Json item = list.at(i);
    CHECK(item.at("file").text() == shard_name(i), "{}: {} lists '{}' where {} was expected", folder_, store_index_name,
          item.at("file").text(), shard_name(i));
    ActivationShard shard(folder_ + "/" + shard_name(i));
    CHECK(shard.description() == description_ && shard.rows() == item.at("rows").integer() &&
              shard.checksum() == item.at("checksum").unsigned_integer(),
          "{}: is not the shard that {} lists; it comes from another store", shard.name(), store_index_name);
    CHECK(i == 0 || shard.has_tokens() == shards_[0].has_tokens(), "{}: some shards have tokens and some not", folder_);
    starts_.push_back(starts_.back() + shard.rows());
    shards_.push_back(std::move(shard));
  }
  CHECK(index.at("rows").integer() == rows() && index.at("tokens").integer() == (shards_[0].has_tokens() ? rows() : 0),
        "{}: {} says {} rows and {} tokens, its shards hold {}", folder_, store_index_name, index.at("rows").integer(),
        index.at("tokens").integer(), rows());
}

void ActivationStore::collect_columns() {
  for (const ActivationShard& shard : shards_) {
    const ShardColumns& columns = shard.columns();
    norms_.insert(norms_.end(), columns.norms.begin(), columns.norms.end());
    token_ids_.insert(token_ids_.end(), columns.token_ids.begin(), columns.token_ids.end());
    token_ids_.insert(token_ids_.end(), columns.wide_token_ids.begin(), columns.wide_token_ids.end());
    positions_.insert(positions_.end(), columns.positions.begin(), columns.positions.end());
    documents_.insert(documents_.end(), columns.documents.begin(), columns.documents.end());
  }
}

void ActivationStore::gather(std::span<const int64_t> rows, float* out) const {
  const auto width = static_cast<size_t>(this->width());
  size_t shard = 0;  // neighbours are often in one shard
  for (const int64_t row : rows) {
    CHECK(row >= 0 && row < this->rows(), "{}: row {} of {} was asked for", folder_, row, this->rows());
    if (row < starts_[shard] || row >= starts_[shard + 1]) {
      shard = static_cast<size_t>(std::upper_bound(starts_.begin(), starts_.end(), row) - starts_.begin()) - 1;
    }
    const size_t place = static_cast<size_t>(row - starts_[shard]) * width;
    const std::byte* values = shards_[shard].columns().values.data();
    if (description_.dtype == Dtype::f32) {
      std::memcpy(out, values + place * sizeof(float), width * sizeof(float));
    } else {
      const auto* source = reinterpret_cast<const bfloat16*>(values) + place;
      for (size_t i = 0; i < width; ++i) out[i] = static_cast<float>(source[i]);
    }
    out += width;
  }
}

Tensor ActivationStore::gather(std::span<const int64_t> rows, Device& device) const {
  const Shape shape = {static_cast<int64_t>(rows.size()), width()};
  if (device.kind() != DeviceKind::cpu) {
    std::vector<float> values(static_cast<size_t>(shape.elements()));
    gather(rows, values.data());
    return Tensor::from(device, shape, values);
  }
  Writable out = Tensor::empty(device, shape, Dtype::f32);
  gather(rows, out.data<float>());
  return std::move(out).freeze();
}

}  // namespace sae
