#pragma once

#include <optional>
#include <span>
#include <vector>

#include "experiments/toy_features/recovery.h"
#include "models/autoencoder/trainer.h"

namespace sae {

/// One autoencoder to train on rows of a ToyData.
struct ToyPlan {
  AutoencoderOptions model;
  TrainingOptions training;
  int64_t resamples = 0;  ///< how often dead latents are resampled, evenly over the first half (Activation::resampled)
};

/// Trains all on one stream of rows, the same for each as by itself, several at once where `device` is the processor,
/// and measures them on rows of their own. Nothing for one that diverged, which is said. The plans agree in batch size,
/// steps and seed; `data` is on the processor.
std::vector<std::optional<Recovery>> train_all(const ToyData& data, std::span<const ToyPlan> plans, Device& device);

}  // namespace sae
