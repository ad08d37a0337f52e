#pragma once

// One source of a kernel, two compilers. A NAME_cuda.cu opens `namespace sae::SIMT_NAMESPACE` and is written with
// CUDA's own words (threadIdx, __syncthreads, __shfl_xor_sync, atomicAdd, ...) and these:
//
//   SIMT_KERNEL name(arguments) { ... }        a kernel; may be a template
//   SIMT_DEVICE T name(arguments) { ... }      a function that kernels call
//   SIMT_SHARED(float, tile, 32);              float tile[32], shared by the block
//   SIMT_DYNAMIC_SHARED(float, tile);          float* tile, the shared bytes of the launch, aligned to 16
//   launch(stream, kernel, grid, block, shared_bytes, arguments...);
//
// nvcc compiles it into sae::cuda. The host compiler compiles it into sae::simt, where a thread is a fiber: every
// machine can run the kernel, with sanitizers, and hears of missing barriers, overruns and divergence. What that cannot
// show is speed, and what only hardware has (tensor cores, stream order). Products of one line and sums are never fused
// (nvcc --fmad=false, -ffp-contract=off), so that exact inputs give equal bits on every device; call std::fma for one.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "engine/stream.h"

#if defined(__CUDACC__)

#include <cuda_runtime.h>

#include "engine/cuda/check.h"

#define SIMT_NAMESPACE cuda
#define SIMT_KERNEL __global__ void
#define SIMT_DEVICE __device__ inline
#define SIMT_SHARED(T, name, count) __shared__ T name[count]
#define SIMT_DYNAMIC_SHARED(T, name)                            \
  extern __shared__ __align__(16) unsigned char simt_dynamic[]; \
  T* const name = reinterpret_cast<T*>(simt_dynamic)

namespace sae::cuda {

/// Launches a kernel on a stream; an empty grid is no launch. Throws what the launch reports.
template <class... Parameters, class... Arguments>
void launch(const Stream& stream, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
            Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  if (shared_bytes > 48 * 1024) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
          "shared memory of a kernel");
  }
  kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(stream.handle())>>>(
      static_cast<Parameters>(arguments)...);
  check(cudaGetLastError(), "launch of a kernel");
}

}  // namespace sae::cuda

#else

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "engine/simt/executor.h"

#define SIMT_NAMESPACE simt
#define SIMT_KERNEL void
#define SIMT_DEVICE inline
#define SIMT_SHARED(T, name, count)          \
  static constexpr char simt_key_##name = 0; \
  T(&name)[count] = *reinterpret_cast<T(*)[count]>(::sae::simt::shared_array(&simt_key_##name, sizeof(T) * (count)))
#define SIMT_DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(::sae::simt::dynamic_shared_array())

namespace sae::simt {

template <class... Parameters, class... Arguments>
void launch(const Stream& stream, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
            Arguments... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const auto body = [=] { kernel(static_cast<Parameters>(arguments)...); };
  static_cast<Executor*>(stream.handle())->run(grid, block, shared_bytes, &body, [](const void* closure) {
    (*static_cast<const decltype(body)*>(closure))();
  });
}

// CUDA's functions, as far as kernels use them. Each takes the line of its call as a last argument that nobody writes.

inline void __syncthreads(Site at = Site::current()) { wait_at_barrier(at); }
inline void __syncwarp(unsigned mask = ~0u, Site at = Site::current()) {
  wait_in_warp(Collective::sync, mask, 0, 0, at);
}

inline int lane_of_thread() {
  return static_cast<int>((threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % warp_size);
}

template <class T>
T shuffle(unsigned mask, T value, int source, Site at) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t));
  uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  word = wait_in_warp(Collective::shuffle, mask, word, source, at);
  std::memcpy(&value, &word, sizeof value);
  return value;
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, Site at = Site::current()) {
  return shuffle(mask, value, (lane_of_thread() & ~(width - 1)) + (source & (width - 1)), at);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, Site at = Site::current()) {
  const int lane = lane_of_thread(), source = lane ^ lane_mask;
  return shuffle(mask, value, (source & ~(width - 1)) <= (lane & ~(width - 1)) ? source : lane, at);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, Site at = Site::current()) {
  const int lane = lane_of_thread(), source = lane + static_cast<int>(delta);
  return shuffle(mask, value, (lane & (width - 1)) + static_cast<int>(delta) < width ? source : lane, at);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, Site at = Site::current()) {
  const int lane = lane_of_thread(), source = lane - static_cast<int>(delta);
  return shuffle(mask, value, (lane & (width - 1)) >= static_cast<int>(delta) ? source : lane, at);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, Site at = Site::current()) {
  return static_cast<unsigned>(wait_in_warp(Collective::ballot, mask, predicate != 0, 0, at));
}
inline int __any_sync(unsigned mask, int predicate, Site at = Site::current()) {
  return __ballot_sync(mask, predicate, at) != 0;
}
inline int __popc(unsigned word) { return __builtin_popcount(word); }
inline int __ffs(int word) { return __builtin_ffs(word); }
inline int __clz(int word) { return word == 0 ? 32 : __builtin_clz(static_cast<unsigned>(word)); }

inline int atomicAdd(int* address, int value) { return __atomic_fetch_add(address, value, __ATOMIC_RELAXED); }
inline int atomicMin(int* address, int value) {
  int before = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (value < before &&
         !__atomic_compare_exchange_n(address, &before, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return before;
}

using std::max;
using std::memcpy;
using std::min;

}  // namespace sae::simt

#endif

namespace sae::SIMT_NAMESPACE {

inline constexpr unsigned all_lanes = 0xffffffffu;

/// The place of this thread among all of a one-dimensional launch, and their number: a loop from the one in steps of
/// the other covers any count with any grid.
SIMT_DEVICE int64_t thread_in_grid() { return int64_t{blockIdx.x} * blockDim.x + threadIdx.x; }
SIMT_DEVICE int64_t threads_in_grid() { return int64_t{gridDim.x} * blockDim.x; }

inline constexpr unsigned threads_per_block = 256;

/// The same for warps: a warp for each row, say.
inline constexpr int warp_lanes = 32;
SIMT_DEVICE int64_t warp_in_grid() { return thread_in_grid() / warp_lanes; }
SIMT_DEVICE int64_t warps_in_grid() { return threads_in_grid() / warp_lanes; }

/// How many blocks of threads_per_block give each of `count` items a block, a warp or a thread; at most 64 Ki, beyond
/// which the kernel's loop takes several. None for none.
inline unsigned blocks_for_rows(int64_t count) { return static_cast<unsigned>(count < 65536 ? count : 65536); }
inline unsigned blocks_for_warps(int64_t count) {
  constexpr int64_t warps = threads_per_block / warp_lanes;
  return blocks_for_rows((count + warps - 1) / warps);
}
inline unsigned blocks_for(int64_t count) {
  return blocks_for_rows((count + threads_per_block - 1) / threads_per_block);
}

/// The sum over the lanes of a warp, in every lane, by halves: lane i first meets lane i ^ 16. All 32 lanes call it.
template <class T>
SIMT_DEVICE T warp_sum(T value) {
  for (int step = warp_lanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(all_lanes, value, step);
  return value;
}

/// The sum over the threads of a block, a multiple of 32 of them, in every thread: within each warp, then over the
/// warps. Between two calls lies a __syncthreads.
template <class T>
SIMT_DEVICE T block_sum(T value) {
  SIMT_SHARED(T, sum_of_warp, 32);
  const unsigned lane = threadIdx.x % warp_lanes, warp = threadIdx.x / warp_lanes;
  value = warp_sum(value);
  if (lane == 0) sum_of_warp[warp] = value;
  __syncthreads();
  return warp_sum(lane < blockDim.x / warp_lanes ? sum_of_warp[lane] : T{0});
}

}  // namespace sae::SIMT_NAMESPACE
