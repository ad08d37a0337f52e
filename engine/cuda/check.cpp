#include "engine/cuda/check.h"

#include "engine/error.h"

namespace sae::cuda {

void check(cudaError_t status, const char* what) {
  CHECK(status == cudaSuccess, "cuda: {}: {} ({})", what, cudaGetErrorString(status), cudaGetErrorName(status));
}

}  // namespace sae::cuda
