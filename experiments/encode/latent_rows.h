#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/autoencoder/autoencoder_file.h"

namespace sae {

/// Where a row comes from: a token of a context. Rows of an imported matrix have none.
struct TokenPlaces {
  std::vector<int32_t> ids;
  std::vector<int32_t> positions;  ///< in their contexts, from 0
};

/// The latents of many rows, gathered on the host batch by batch: compressed rows of the entries above 0. The rows and
/// the autoencoder may lie on any device.
class LatentRows {
 public:
  explicit LatentRows(const Autoencoder& autoencoder) : autoencoder_(autoencoder) {}

  /// Normalises and encodes rows [rows, width] in the model's own units. Throws on another width, on NaN and infinity,
  /// naming the row, and where some rows have tokens and some not.
  void add(const Tensor& rows, const TokenPlaces& places);

  int64_t rows() const { return static_cast<int64_t>(offsets_.size()) - 1; }
  int64_t stored() const { return offsets_.back(); }
  const TokenPlaces& places() const { return places_; }
  /// The `count` strongest latents of a row and their values, strongest first; ties go to the lower latent.
  std::vector<std::pair<int32_t, float>> strongest(int64_t row, int64_t count) const;
  /// A safetensors file: "offsets" i64 [rows + 1], "index" i32 [stored] (ascending in a row), "values" f32 [stored];
  /// "input_mean" and "input_norm" f32 [rows], which bring a reconstruction back into the model's own units
  /// (norm * x_hat + mean); and for tokens "token_ids" and "positions" i32 [rows]. The number of latents is metadata.
  void write(const std::string& path, const Metadata& notes, IfExists if_exists) const;

 private:
  void add_entries(std::span<const int32_t> columns, std::span<const float> values);

  const Autoencoder& autoencoder_;
  std::unique_ptr<Device> host_ = Device::open(DeviceKind::cpu);
  std::vector<int64_t> offsets_ = {0};
  std::vector<int32_t> index_;
  std::vector<float> values_;
  std::vector<float> means_, norms_;
  TokenPlaces places_;
};

}  // namespace sae
