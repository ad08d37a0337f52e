#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/device.h"

// The host's half of engine/simt.h: runs a kernel's threads as fibers on one thread of the operating system. A lane
// (CUDA's thread) runs until it waits for others, at a barrier or at a collective of its warp; then the next one runs.

namespace sae::simt {

inline constexpr unsigned warp_size = 32;
inline constexpr unsigned max_threads_in_block = 1024;
inline constexpr size_t max_shared_bytes = 227 * 1024;        // of one block on sm_90
inline constexpr size_t max_static_shared_bytes = 48 * 1024;  // what SIMT_SHARED may ask for in all

/// CUDA's dim3, in a namespace of its own so that both may live in one binary.
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_extent = 1, unsigned y_extent = 1, unsigned z_extent = 1)
      : x(x_extent), y(y_extent), z(z_extent) {}
};

/// CUDA's names. They mean something while a kernel runs, on the thread that runs it.
inline constinit thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

/// The line of a kernel that called. (libstdc++'s std::source_location does not compile with clang 14.)
struct Site {
  const char* file = "";
  unsigned line = 0;
  static constexpr Site current(const char* at = __builtin_FILE(), unsigned number = __builtin_LINE()) {
    return {at, number};
  }
};

/// Runs kernels one after the other, blocks one after the other. Reports, with file and line: lanes that meet in
/// different barriers or collectives, lanes outside their mask, deadlocks, too much shared memory, and writes next to a
/// shared array. Shared memory is filled with NaNs before each block.
class Executor {
 public:
  /// Schedule 0 runs blocks and lanes in ascending order; any other number shuffles both, the same way each time. A
  /// correct kernel gives the same result under every schedule.
  explicit Executor(uint64_t schedule = 0);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Calls invoke(body) once for each lane. Throws sae::Error with what a lane did wrong; what the kernel wrote until
  /// then stays written.
  void run(dim3 grid, dim3 block, size_t dynamic_shared_bytes, const void* body, void (*invoke)(const void*));
  /// How often a fiber was entered so far: what a kernel costs here.
  int64_t switches() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

enum class Collective : uint8_t { shuffle, ballot, sync };

// What a running kernel calls. `key` identifies a shared array within the kernel.
void* shared_array(const void* key, size_t bytes, Site at = Site::current());
void* dynamic_shared_array();
void wait_at_barrier(Site at);
/// Waits for the lanes of `mask`. A shuffle returns the value of lane `source`, a ballot the bits of values not 0.
uint64_t wait_in_warp(Collective operation, uint32_t mask, uint64_t value, int source, Site at);

}  // namespace sae::simt
