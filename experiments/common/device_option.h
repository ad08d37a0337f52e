#pragma once

#include <memory>

#include "engine/device.h"
#include "experiments/common/options.h"

namespace sae {

/// Declares --device: where a program's tensors live and its kernels run.
void declare_device(Options& options);
/// Opens it; throws, saying what to do, where this build or this machine has no such device.
std::unique_ptr<Device> open_device(const Options& options);

}  // namespace sae
