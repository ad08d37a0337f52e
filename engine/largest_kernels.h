#pragma once

// For a NAME_cuda.cu, beside warp_sum and block_sum of simt.h.

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {

/// The largest over the lanes of a warp, in every lane; NaNs may be passed over. All 32 lanes call it.
template <class T>
SIMT_DEVICE T warp_max(T value) {
  for (int step = warp_lanes / 2; step > 0; step /= 2) {
    const T other = __shfl_xor_sync(all_lanes, value, step);
    value = other > value ? other : value;
  }
  return value;
}

/// The largest over the threads of a block, a multiple of 32 of them, in every thread. Between two calls lies a
/// __syncthreads.
template <class T>
SIMT_DEVICE T block_max(T value) {
  SIMT_SHARED(T, max_of_warp, 32);
  const unsigned lane = threadIdx.x % warp_lanes, warp = threadIdx.x / warp_lanes;
  value = warp_max(value);
  if (lane == 0) max_of_warp[warp] = value;
  __syncthreads();
  return warp_max(max_of_warp[lane < blockDim.x / warp_lanes ? lane : 0]);
}

}  // namespace sae::SIMT_NAMESPACE
