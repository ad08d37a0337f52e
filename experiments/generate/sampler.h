#pragma once

#include <cstdint>
#include <span>

#include "engine/philox.h"

namespace sae {

struct SamplerOptions {
  double temperature = 0;  ///< 0: always the likeliest token (the lower id of equals)
  int64_t top_k = 0;       ///< only among the k likeliest; 0: among all
  uint64_t seed = 0;
};

/// Chooses tokens by their scores: softmax(logits / temperature), by one uniform draw a token. The same seed, options
/// and scores give the same tokens.
class Sampler {
 public:
  /// Throws on a negative temperature or k.
  explicit Sampler(SamplerOptions options);
  int32_t choose(std::span<const float> logits);

 private:
  SamplerOptions options_;
  Philox random_;
  uint64_t drawn_ = 0;
};

}  // namespace sae
