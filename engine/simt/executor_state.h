#pragma once

#include <fmt/format.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/simt/executor.h"
#include "engine/simt/fiber.h"

// What executor.cpp, shared_memory.cpp and collectives.cpp share, and nobody else.

namespace sae::simt {

#if defined(SIMT_TSAN)
inline constexpr bool fiber_for_each_lane = true;  // or its lanes would be one thread to the sanitizer
#else
inline constexpr bool fiber_for_each_lane = false;
#endif

/// For the thread sanitizer: what this lane did until announce(place) comes before what others do after hear(place).
inline void announce([[maybe_unused]] char& place) {
#if defined(SIMT_TSAN)
  __tsan_release(&place);
#endif
}
inline void hear([[maybe_unused]] char& place) {
#if defined(SIMT_TSAN)
  __tsan_acquire(&place);
#endif
}

/// Where the lanes of a block announce and hear: each block's are its own, since blocks are in no order. Who leaves a
/// barrier first runs to the next one and announces there before others have heard the first, so that barriers take
/// turns in two places, and those of a warp, whose lanes may meet in several groups, in four.
struct MeetingPlaces {
  char start = 0, barriers[2] = {}, warps[max_threads_in_block / warp_size][4] = {};
};

enum class Wait : uint8_t { unstarted, runnable, barrier, warp, done };

struct Fiber {
  Pages stack{256 * 1024};
  Context context;
  bool started = false;

  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  ~Fiber() { abandon(); }
  /// Leaves off, wherever it is; it starts anew next time.
  void abandon() {
#if defined(SIMT_TSAN)
    if (started) __tsan_destroy_fiber(context.thread_sanitizer);
#endif
    started = false;
  }
};

struct Lane {
  Wait wait = Wait::unstarted;
  unsigned id = 0;
  Fiber* fiber = nullptr;
  Collective operation{};
  uint32_t mask = 0;
  uint64_t value = 0, result = 0;
  int source = 0;
  char* meeting_place = nullptr;
  Site site;
};

struct SharedArray {
  const void* key;
  char* begin;
  size_t bytes;
  Site site;
};

/// The shared memory of a block: arrays with red zones around them.
class SharedMemory {
 public:
  SharedMemory();
  /// Forgets all arrays.
  void renew();
  /// Null where there is none.
  char* find(const void* key) const;
  /// An array full of NaNs; null where there is no room.
  char* add(const void* key, size_t bytes, const Site& site);
  /// What is wrong with the red zones; empty: nothing.
  std::string damage();

 private:
  Pages arena_;
  size_t used_ = 0;
  std::vector<SharedArray> arrays_;
};

/// Lanes allocate nothing: to the thread sanitizer they are threads, and an allocation is a write.
struct Executor::State {
  std::mutex one_kernel;
  uint64_t schedule = 0;
  int64_t switches = 0;
  const void* body = nullptr;
  void (*invoke)(const void*) = nullptr;

  // Lanes and their fibers (executor.cpp).
  Context main;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;  // where lanes may share a fiber
  size_t next_fiber = 0;     // where they may not
  std::vector<Lane> lanes;
  std::vector<unsigned> order;  // the lanes in the order in which they are visited
  size_t next = 0;              // the first of `order` that may not have started
  Lane* current = nullptr;
  unsigned alive = 0, at_barrier = 0;
  unsigned barriers = 0, warp_barriers[max_threads_in_block / warp_size] = {};  // so far in this block
  std::string error;
  std::unique_ptr<MeetingPlaces> places = std::make_unique<MeetingPlaces>();
  char end_of_launch = 0;  // lanes announce, the host hears

  SharedMemory shared;
  size_t static_shared = 0, dynamic_shared = 0;  // bytes
  void* dynamic_array = nullptr;

  void run_block(unsigned threads);
  void visit_lanes();
  void start_block(unsigned threads);
  void order_lanes(unsigned threads);
  void report_deadlock();
  Fiber* free_fiber();
  void enter(Lane& lane);
  void leave();
  void make_current(Lane& lane);
  Lane* next_unstarted();
  void finish_current();
  void release_barrier();
  [[noreturn]] void fail_at(const Site& site, std::string what);
  char* add_shared(const void* key, size_t bytes, const Site& site);
};

/// The executor whose kernel this thread runs: set for the time of a launch, since a kernel cannot be handed it.
inline constinit thread_local Executor::State* running = nullptr;

inline const char* base_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

inline bool same(const Site& a, const Site& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

/// The block and the thread that run.
std::string place();

}  // namespace sae::simt
