#pragma once

#include <utility>
#include <vector>

#include "models/autoencoder/autoencoder.h"

namespace sae::testing {

/// What Autoencoder::initialise makes on the cpu, of zeros as the pre-bias, in memory of `device`: the same on each.
inline Autoencoder initialised_autoencoder(Device& device, const AutoencoderOptions& options, uint64_t seed) {
  const auto host = Device::open(DeviceKind::cpu);
  const Autoencoder made = Autoencoder::initialise(options, Tensor::zeros(*host, {options.width}, Dtype::f32), seed);
  std::vector<Tensor> tensors;
  for (const Parameter* parameter : made.parameters()) tensors.push_back(parameter->value().to(device).clone());
  std::vector<Tensor> extra(tensors.begin() + 4, tensors.end());
  return Autoencoder(options, tensors[0], tensors[1], tensors[2], tensors[3], std::move(extra));
}

}  // namespace sae::testing
