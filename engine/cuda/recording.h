#pragma once

#include <functional>
#include <memory>

#include "engine/recording.h"

namespace sae::cuda {

// The functions of engine/recording.h where the device is cuda.

std::unique_ptr<Recording> record(Device& device, const std::function<void()>& work);
std::unique_ptr<Upload> open_upload(Device& device, size_t bytes);

}  // namespace sae::cuda
