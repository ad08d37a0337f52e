#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/autoencoder/metrics.h"
#include "models/autoencoder/trainer.h"

namespace sae {

/// Data whose dictionary is known: more directions than dimensions, few active at a time (superposition, Elhage et al.
/// 2022).
struct ToyOptions {
  int64_t width = 64;
  int64_t features = 128;
  double active = 4;            ///< mean number of active features in a row
  double frequency_ratio = 10;  ///< how many times as often the most frequent feature is active as the rarest
  uint64_t seed = 0;
};

/// Rows x = the sum over active features f of strength_f direction_f. Directions are uniformly random, of unit length;
/// feature f is active with a probability that falls geometrically with f, independently of the others; strengths are
/// 0.5 plus an exponential of mean 0.5. Rows are not normalised: the zero row is one of them.
class ToyData {
 public:
  ToyData(Device& device, const ToyOptions& options);

  const ToyOptions& options() const { return options_; }
  /// [features, width], f32
  const Tensor& directions() const { return directions_; }
  const std::vector<double>& probabilities() const { return probabilities_; }
  /// The mean row [width] and the mean over rows and width of (x - mean)^2, over many rows.
  const Tensor& mean() const { return mean_; }
  double variance() const { return variance_; }
  /// Batch `index`, a function of the seed and its arguments: [rows, width].
  Tensor batch(uint64_t index, int64_t rows) const;

 private:
  Device& device_;
  ToyOptions options_;
  Tensor directions_, mean_;
  std::vector<double> probabilities_;
  double variance_ = 0;
};

}  // namespace sae
