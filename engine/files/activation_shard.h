#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "engine/dtype.h"
#include "engine/files/json.h"
#include "engine/files/mapped_file.h"
#include "engine/files/safetensors.h"

namespace sae {

/// What a store of activations holds: the same for all its shards.
struct StoreDescription {
  std::string model;           ///< as plots name it: "SmolLM2-135M-Instruct, Q4_1 dequantised"
  int64_t layer = 0;           ///< after which block, counted from 0
  std::string site;            ///< "resid_post", ...
  std::string split;           ///< "train", "validation", "test"
  Dtype dtype = Dtype::f32;    ///< of the stored rows: f32 or bf16
  int64_t width = 0;           ///< elements of a row
  int64_t context_length = 0;  ///< tokens the model saw at once
  Metadata notes;              ///< whatever else made these rows what they are: precision, text, ...

  friend bool operator==(const StoreDescription&, const StoreDescription&) = default;
};
Json to_json(const StoreDescription& description);
StoreDescription read_description(const Json& json);

/// The columns of a shard, row by row. Rows without tokens (an imported matrix) have norms only.
struct ShardColumns {
  std::span<const std::byte> values;   ///< [rows, width] of the description's dtype
  std::span<const float> norms;        ///< Euclidean norm of each row
  std::span<const int32_t> documents;  ///< from which document or source it comes; the store's writer says which
  /// The token at whose place the row was taken: in 16 bits where all of the shard's fit, else in 32; the other is
  /// empty.
  std::span<const uint16_t> token_ids;
  std::span<const int32_t> wide_token_ids;
  std::span<const uint16_t> positions;  ///< its position in its context, from 0
};

/// The name of shard `index` within its folder.
std::string shard_name(int64_t index);

/// One file of a store: "sae.rows", u32 length and u32 CRC-32 of the JSON header, the header (the description, rows,
/// tokens: rows or 0, token_bytes: 4 where ids take 32 bits, and the CRC-32 of what follows), then the columns in the
/// order of ShardColumns, each padded with zeros to a multiple of 64 bytes. All little-endian.
class ActivationShard {
 public:
  /// Throws, naming the file, unless every byte of its header is as it was written and its size is what that says. The
  /// columns' checksum is left to verify().
  explicit ActivationShard(std::string path);

  /// Throws, naming the file, where the columns have changed since they were written. Reads all of it.
  void verify() const;

  const std::string& name() const { return file_.name(); }
  const StoreDescription& description() const { return description_; }
  int64_t rows() const { return rows_; }
  bool has_tokens() const { return has_tokens_; }
  uint32_t checksum() const { return checksum_; }
  const ShardColumns& columns() const { return columns_; }

 private:
  void read_header();
  void place_columns();

  MappedFile file_;
  StoreDescription description_;
  int64_t rows_ = 0;
  bool has_tokens_ = false;
  bool has_wide_tokens_ = false;
  uint32_t checksum_ = 0;
  int64_t columns_begin_ = 0;
  ShardColumns columns_;
};

/// Writes a shard, atomically; an existing file is refused. Returns its checksum.
uint32_t write_shard(const std::string& path, const StoreDescription& description, const ShardColumns& columns);

}  // namespace sae
