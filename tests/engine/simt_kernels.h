#pragma once

// Kernels for the tests of engine/simt.h: two that are right, and one for each mistake that it must notice.

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {

/// A block for each row.
template <class T>
SIMT_KERNEL row_sum(const T* x, T* out, int64_t cols) {
  T sum = 0;
  for (int64_t col = threadIdx.x; col < cols; col += blockDim.x) sum += x[blockIdx.x * cols + col];
  sum = block_sum(sum);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

/// out[i] = the sum of x[0..i], within one block, through memory that the launch brings.
SIMT_KERNEL prefix_sum(const int* x, int* out) {
  SIMT_DYNAMIC_SHARED(int, sums);
  const unsigned i = threadIdx.x;
  sums[i] = x[i];
  for (unsigned step = 1; step < blockDim.x; step *= 2) {
    __syncthreads();
    const int before = i >= step ? sums[i - step] : 0;
    __syncthreads();
    sums[i] += before;
  }
  out[i] = sums[i];
}

SIMT_KERNEL missing_barrier(float* out) {
  SIMT_SHARED(float, tile, 64);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = tile[63 - threadIdx.x];  // another thread's, not yet written perhaps
}

SIMT_KERNEL missing_barrier_between_two(float* out) {
  SIMT_SHARED(float, tile, 64);
  __syncthreads();
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  const float other = tile[63 - threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = other;
}

SIMT_KERNEL missing_warp_barrier_between_two(float* out) {
  SIMT_SHARED(float, tile, 32);
  __syncwarp();
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  const float other = tile[31 - threadIdx.x];
  __syncwarp();
  out[threadIdx.x] = other;
}

SIMT_KERNEL divergent_barrier(float* out) {
  if (threadIdx.x < 32) {
    __syncthreads();
    out[threadIdx.x] = 1;
  } else {
    __syncthreads();
    out[threadIdx.x] = 2;
  }
}

SIMT_KERNEL half_warp_shuffles_for_all(float* out) {
  float value = static_cast<float>(threadIdx.x);
  if (threadIdx.x < 16) value = __shfl_xor_sync(all_lanes, value, 1);
  out[threadIdx.x] = value;
}

SIMT_KERNEL barrier_meets_shuffle(float* out) {
  float value = static_cast<float>(threadIdx.x);
  if (threadIdx.x < 16) {
    value = __shfl_xor_sync(all_lanes, value, 1);
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = value;
}

SIMT_KERNEL two_collectives_meet(float* out) {
  float value = static_cast<float>(threadIdx.x);
  if (threadIdx.x < 16) {
    value = __shfl_xor_sync(all_lanes, value, 1);
  } else {
    value = static_cast<float>(__ballot_sync(all_lanes, 1));
  }
  out[threadIdx.x] = value;
}

SIMT_KERNEL lane_outside_its_mask(float* out) { out[threadIdx.x] = __shfl_xor_sync(0xffffu, 1.0f, 1); }

SIMT_KERNEL shuffle_from_outside_the_mask(float* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffffu, 1.0f, 20);
}

SIMT_KERNEL shared_overrun(float* out) {
  SIMT_SHARED(float, tile, 32);
  tile[threadIdx.x + 1] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];
}

SIMT_KERNEL uninitialised_shared(float* out) {
  SIMT_SHARED(float, tile, 32);
  if (threadIdx.x < 31) tile[threadIdx.x] = 1;
  __syncthreads();
  const float sum = warp_sum(tile[threadIdx.x]);
  if (threadIdx.x == 0) out[0] = sum;
}

SIMT_KERNEL too_much_static_shared(float* out) {
  SIMT_SHARED(float, tile, 13000);
  tile[threadIdx.x] = 1;
  out[threadIdx.x] = tile[threadIdx.x];
}

SIMT_KERNEL global_overrun(float* out, unsigned count) {
  if (threadIdx.x <= count) out[threadIdx.x] = 1;  // < was meant
}

SIMT_KERNEL blocks_race(float* out) { out[0] = static_cast<float>(blockIdx.x); }

SIMT_KERNEL blocks_race_past_barriers(float* out) {
  __syncthreads();  // of one block alone
  if (threadIdx.x == blockIdx.x) out[0] = 1;
  __syncthreads();
}

SIMT_KERNEL shuffle_for_a_fence(float* out) {
  SIMT_SHARED(float, tile, 32);
  tile[threadIdx.x] = static_cast<float>(threadIdx.x);
  static_cast<void>(__shfl_xor_sync(all_lanes, 0.0f, 1));  // orders registers, not memory: __syncwarp was meant
  out[threadIdx.x] = tile[31 - threadIdx.x];
}

SIMT_KERNEL count_threads(int* counter) { atomicAdd(counter, 1); }

}  // namespace sae::SIMT_NAMESPACE
