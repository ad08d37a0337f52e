#pragma once

#include <cuda_runtime_api.h>

namespace sae::cuda {

/// Throws sae::Error with CUDA's name and text of a status unless it is success. `what` was being done; on a GPU an
/// error may stem from an earlier kernel.
void check(cudaError_t status, const char* what);

}  // namespace sae::cuda
