#include "engine/cuda/probe.h"

namespace sae::cuda {
namespace {

__global__ void nothing() {}

}  // namespace

cudaError_t probe_kernel() {
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, nothing);
  if (status != cudaSuccess) cudaGetLastError();
  return status;
}

}  // namespace sae::cuda
