#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/files/activation_shard.h"

namespace sae {

enum class IfStoreExists { refuse, resume, overwrite };

/// Writes a store: a folder of shards, and store.json once it is finished. Each shard appears whole, so an interrupted
/// writer loses at most the rows of the shard that it was filling.
class ActivationWriter {
 public:
  static constexpr int64_t default_shard_bytes = int64_t{64} << 20;

  /// Creates the folder. One that holds a store already is refused; resumed, where it was written under the same
  /// description and its shards are intact; or its store (nothing else) is removed. Throws on a dtype other than f32
  /// and bf16.
  ActivationWriter(std::string folder, StoreDescription description, IfStoreExists if_exists,
                   int64_t shard_bytes = default_shard_bytes);

  /// Rows stored and buffered. After a resume, the rows whose shards were complete: go on with the row that follows.
  int64_t rows() const { return complete_rows_ + static_cast<int64_t>(norms_.size()); }
  /// A resumed store that was finished: there is nothing left to do.
  bool is_finished() const { return is_finished_; }
  /// Takes back finish(), so that more rows can follow: the store is unfinished until finish() is called again.
  void reopen();

  /// Appends rows (row-major, a multiple of the width). They never part: one call's rows come to stand in one shard, so
  /// that a writer of whole contexts resumes at a context. Either every append has tokens (all three spans one element
  /// per row) or none has. Throws, naming the row, on NaN and infinity, and then appends none of them.
  void append(std::span<const float> rows, std::span<const int32_t> token_ids = {},
              std::span<const uint16_t> positions = {}, std::span<const int32_t> documents = {});
  /// Writes the last shard and store.json. Without it the store is unfinished, and no reader takes it.
  void finish();

 private:
  struct ShardRecord {
    int64_t rows;
    uint32_t checksum;
  };
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void remove_store(const std::vector<std::string>& names) const;
  void resume(size_t shard_count);
  void flush();

  std::string folder_;
  StoreDescription description_;
  int64_t shard_bytes_;
  std::vector<ShardRecord> shards_;
  int64_t complete_rows_ = 0;
  bool has_tokens_ = false;
  bool is_finished_ = false;
  // The shard being filled.
  std::vector<std::byte> values_;
  std::vector<float> norms_;
  std::vector<int32_t> documents_, token_ids_;
  std::vector<uint16_t> positions_;
};

}  // namespace sae
