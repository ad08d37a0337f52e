#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/files/activation_shard.h"
#include "engine/tensor.h"

namespace sae {

constexpr const char* store_index_name = "store.json";

/// A finished store of activations (see ActivationWriter), memory-mapped. Rows are numbered through all shards, in the
/// order in which they were written. One split is one store: DIR/train, DIR/validation, DIR/test.
class ActivationStore {
 public:
  /// Throws, naming the file, where the store is missing, unfinished or of another format, and on every shard that was
  /// cut short, altered or exchanged: all bytes are read once and held against their checksums.
  explicit ActivationStore(std::string folder);

  const std::string& folder() const { return folder_; }
  const StoreDescription& description() const { return description_; }
  int64_t rows() const { return starts_.back(); }
  int64_t width() const { return description_.width; }
  /// Sixteen hexadecimal digits that stand for the content: what a training run notes to know its data again.
  std::string fingerprint() const;

  /// Of each row. Without tokens (an imported matrix) all but the norms are empty.
  std::span<const float> norms() const { return norms_; }
  std::span<const int32_t> token_ids() const { return token_ids_; }
  std::span<const uint16_t> positions() const { return positions_; }
  std::span<const int32_t> documents() const { return documents_; }

  /// Copies rows, in any order, to out [rows.size(), width] as f32. Safe to call from several threads at once.
  void gather(std::span<const int64_t> rows, float* out) const;
  /// The same as a tensor f32 [rows.size(), width].
  Tensor gather(std::span<const int64_t> rows, Device& device) const;

 private:
  void open_shards(const Json& index);
  void collect_columns();

  std::string folder_;
  StoreDescription description_;
  std::vector<ActivationShard> shards_;
  std::vector<int64_t> starts_ = {0};  // the first row of each shard, and the number of rows
  std::vector<float> norms_;
  std::vector<uint16_t> positions_;
  std::vector<int32_t> token_ids_, documents_;
};

}  // namespace sae
