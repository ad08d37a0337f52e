#pragma once

#include "models/autoencoder/trainer.h"

namespace sae {

/// Bytes of the device that training takes, about: weights, moments and average, gradients where they are dense, and
/// what a step keeps for its backward pass.
int64_t training_memory(const AutoencoderOptions& model, const TrainingOptions& training);

/// Throws, saying how much is needed and what to lower, where `free` (Device::free_memory) is known and less.
void require_memory(DeviceKind device, std::optional<int64_t> free, int64_t needed);

}  // namespace sae
