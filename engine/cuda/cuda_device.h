#pragma once

#include <memory>

#include "engine/device.h"

namespace sae::cuda {

/// An NVIDIA GPU, one stream. Throws where there is no driver, an old one, no GPU of that index, or one whose
/// architecture this build was not compiled for.
std::unique_ptr<Device> open_device(int index);

}  // namespace sae::cuda
