#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/files/activation_writer.h"

namespace sae {

/// Where harvested rows go: a store (a folder of shards), or one safetensors file.
class RowSink {
 public:
  virtual ~RowSink() = default;
  /// Rows that are there already: of an earlier, interrupted or shorter run.
  virtual int64_t rows() const = 0;
  /// Whole contexts; the token columns are empty for imported matrices.
  virtual void append(std::span<const float> rows, std::span<const int32_t> token_ids,
                      std::span<const uint16_t> positions, std::span<const int32_t> documents) = 0;
  virtual void finish() = 0;
};

/// A path that ends in .safetensors makes one file with the tensors "activations", "token_ids", "positions" and
/// "documents", kept in memory until it is complete: for small jobs. Token ids are u16 where all fit, else i32. Any
/// other path is a store's folder. `options` is kept beside the rows. Throws where the output exists, unless it may be
/// replaced or, for a store, gone on with.
std::unique_ptr<RowSink> open_sink(const std::string& path, StoreDescription description, IfStoreExists if_exists,
                                   const std::string& options);

}  // namespace sae
