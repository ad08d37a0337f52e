#pragma once

#include <cuda_runtime_api.h>

namespace sae::cuda {

/// Asks the runtime for a kernel of this program: cudaErrorNoKernelImageForDevice says that it was compiled for other
/// architectures than the current device's.
cudaError_t probe_kernel();

}  // namespace sae::cuda
