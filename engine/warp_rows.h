#pragma once

// For *_cuda.cu only: the arithmetic of engine/row_kernels.h by a warp.

#include "engine/largest_kernels.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {

/// a . b over `count` elements, in every lane; all 32 lanes call it. The order of additions is that of the floats of
/// engine/row_kernels.h, so the bits are the cpu's: 64 running sums (here two in each lane), added as a tree; what is
/// left of sixteens enters the first sixteen, and the rest comes one by one.
template <class T>
SIMT_DEVICE T warp_dot(const T* a, const T* b, int64_t count) {
  constexpr int half = warp_lanes / 2;
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  T low = 0, high = 0;
  int64_t i = 0;
  for (; i + 2 * warp_lanes <= count; i += 2 * warp_lanes) {
    low += a[i + lane] * b[i + lane];
    high += a[i + warp_lanes + lane] * b[i + warp_lanes + lane];
  }
  for (; i + half <= count; i += half) {
    if (lane < half) low += a[i + lane] * b[i + lane];
  }
  low += __shfl_xor_sync(all_lanes, low, half);
  high += __shfl_xor_sync(all_lanes, high, half);
  T sum = low + high;
  for (int step = half / 2; step > 0; step /= 2) sum += __shfl_xor_sync(all_lanes, sum, step);
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace sae::SIMT_NAMESPACE
