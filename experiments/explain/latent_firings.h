#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/files/row_selection.h"
#include "models/autoencoder/autoencoder_file.h"

namespace sae {

/// Where each latent fires in a store: for each latent its rows, numbered through the selection, and its activations
/// there.
class LatentFirings {
 public:
  LatentFirings(const Autoencoder& autoencoder, const ActivationStore& store, const RowSelection& selection,
                Device& device);

  int64_t latents() const { return static_cast<int64_t>(begins_.size()) - 1; }
  /// Rows that were looked at.
  int64_t rows() const { return rows_; }
  /// Rows in which a latent fired, ascending, and its activations there, above 0.
  std::span<const int32_t> rows_of(int64_t latent) const { return slice<int32_t>(row_, latent); }
  std::span<const float> values_of(int64_t latent) const { return slice<float>(value_, latent); }
  int64_t count(int64_t latent) const { return static_cast<int64_t>(rows_of(latent).size()); }
  double density(int64_t latent) const { return static_cast<double>(count(latent)) / static_cast<double>(rows_); }
  /// 0 for a latent that did not fire.
  float maximum(int64_t latent) const;
  /// Mean number of latents that fire in a row.
  double l0() const { return static_cast<double>(row_.size()) / static_cast<double>(rows_); }

 private:
  template <class T>
  std::span<const T> slice(const std::vector<T>& all, int64_t latent) const {
    const int64_t begin = begins_[static_cast<size_t>(latent)], end = begins_[static_cast<size_t>(latent) + 1];
    return {all.data() + begin, static_cast<size_t>(end - begin)};
  }

  int64_t rows_ = 0;
  std::vector<int64_t> begins_;  // [latents + 1]
  std::vector<int32_t> row_;
  std::vector<float> value_;
};

/// Sixteen hexadecimal digits that stand for an autoencoder's weights and options.
std::string fingerprint(const Autoencoder& autoencoder);

/// Throws, saying what is of what, where an autoencoder was not trained on activations like the store's: of another
/// width, model, block or site. Notes that the autoencoder's file lacks are not compared.
void check_same_subject(const std::string& autoencoder_file, const LoadedAutoencoder& loaded,
                        const ActivationStore& store);

/// Latents whose density is at least `floor`, ascending. Throws where the rows are too few to see `needed` firings at
/// that density, saying how many rows it takes.
std::vector<int64_t> latents_above(const LatentFirings& firings, double floor, int64_t needed, const std::string& name);

/// A random sample of `count` of them, ascending; all where there are no more.
std::vector<int64_t> sample_latents(const std::vector<int64_t>& latents, int64_t count, uint64_t seed);

}  // namespace sae
