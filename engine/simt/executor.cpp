#include "engine/simt/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <mutex>
#include <numeric>
#include <string>
#include <vector>

#include "engine/simt/fiber.h"

#if !defined(SIMT_FIBER_UCONTEXT)
// Pushes what a called function must preserve, exchanges the stacks, and pops the other side's.
asm(R"(
.text
.globl sae_simt_switch
.hidden sae_simt_switch
.type sae_simt_switch,@function
sae_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size sae_simt_switch,.-sae_simt_switch
)");
#endif

namespace sae::simt {
namespace {

constexpr size_t stack_bytes = 256 * 1024;
constexpr size_t red_zone = 64;  // bytes around a shared array
constexpr size_t max_shared_arrays = 64;
constexpr size_t arena_bytes = max_shared_bytes + (max_shared_arrays + 2) * 2 * red_zone;
constexpr uint64_t not_a_number = ~uint64_t{0};
constexpr uint64_t red_zone_word = 0xfdfdfdfdfdfdfdfd;
#if defined(SIMT_TSAN)
constexpr bool fiber_for_each_lane = true;  // or its lanes would be one thread to the sanitizer
#else
constexpr bool fiber_for_each_lane = false;
#endif

enum class Wait : uint8_t { unstarted, runnable, barrier, warp, done };

struct Fiber {
  Pages stack{stack_bytes};
  Context context;
  bool started = false;
};

struct Lane {
  Wait wait = Wait::unstarted;
  unsigned id = 0;
  Fiber* fiber = nullptr;
  Collective operation{};
  uint32_t mask = 0;
  uint64_t value = 0, result = 0;
  int source = 0;
  Site site;
};

struct SharedArray {
  const void* key;
  char* begin;
  size_t bytes;
  Site site;
};

const char* base_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

bool same(const Site& a, const Site& b) { return a.line == b.line && std::strcmp(a.file, b.file) == 0; }

/// Not memset, which a thread sanitizer would take for a lane's.
void fill(char* begin, size_t bytes, uint64_t word) {
  auto* words = reinterpret_cast<volatile uint64_t*>(begin);
  for (size_t i = 0; i < bytes / 8; ++i) words[i] = word;
}

}  // namespace

struct Executor::State {
  std::mutex one_kernel;
  uint64_t schedule = 0;
  int64_t switches = 0;
  const void* body = nullptr;
  void (*invoke)(const void*) = nullptr;

  Context main;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> idle;
  std::vector<Lane> lanes;
  std::vector<unsigned> order;  // the lanes in the order in which they are visited
  size_t next = 0;              // the first of `order` that may not have started
  Lane* current = nullptr;
  unsigned alive = 0, at_barrier = 0;
  std::string error;

  Pages arena{arena_bytes};
  size_t arena_used = 0, static_shared = 0;
  size_t dynamic_bytes = 0;
  void* dynamic = nullptr;
  std::vector<SharedArray> shared;
  // Addresses at which lanes meet, for the thread sanitizer: barrier, end of the launch, and each warp.
  char barrier_tag = 0, launch_tag = 0, warp_tags[max_threads_in_block / warp_size] = {};

  void run_block(unsigned threads);
  void visit_lanes();
  void start_block(unsigned threads);
  void check_red_zones();
  void report_deadlock();
  void enter(Lane& lane);
  void leave();
  void make_current(Lane& lane);
  Lane* next_unstarted();
  void finish_current();
  void release_barrier();
  [[noreturn]] void fail_at(const Site& site, const std::string& what);
  char* reserve(const void* key, size_t bytes, const Site& site);
};

namespace {

/// The executor whose kernel this thread runs: set for the time of a launch, since a kernel cannot be handed it.
constinit thread_local Executor::State* running = nullptr;

std::string place() {
  return fmt::format("[block {},{},{} thread {},{},{}]", blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y,
                     threadIdx.z);
}

/// What every fiber runs: one lane, and where lanes may share a fiber all that follow until one waits.
void fiber_main() {
  Executor::State& state = *running;
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &state.main.bottom, &state.main.bytes);
#endif
  for (;;) {
    Fiber* fiber = state.current->fiber;
    try {
      state.invoke(state.body);
    } catch (const std::exception& thrown) {
      state.error = fmt::format("simt: a kernel threw '{}' {}", thrown.what(), place());
    }
    state.finish_current();
    Lane* lane = fiber_for_each_lane || !state.error.empty() ? nullptr : state.next_unstarted();
    if (lane == nullptr) {
      if (!fiber_for_each_lane) state.idle.push_back(fiber);
      switch_context(fiber->context, state.main);
    } else {
      lane->fiber = fiber;
      state.make_current(*lane);
    }
  }
}

}  // namespace

void Executor::State::make_current(Lane& lane) {
  current = &lane;
  threadIdx.x = lane.id % blockDim.x;
  threadIdx.y = lane.id / blockDim.x % blockDim.y;
  threadIdx.z = lane.id / (blockDim.x * blockDim.y);
  lane.wait = Wait::runnable;
}

Lane* Executor::State::next_unstarted() {
  for (; next < order.size(); ++next) {
    Lane& lane = lanes[order[next]];
    if (lane.wait == Wait::unstarted) return &lane;
  }
  return nullptr;
}

/// Continues a lane; returns when it waits or has finished.
void Executor::State::enter(Lane& lane) {
  if (lane.fiber == nullptr) {
    if (idle.empty()) {
      fibers.push_back(std::make_unique<Fiber>());
      idle.push_back(fibers.back().get());
    }
    lane.fiber = idle.back();
    idle.pop_back();
  }
  make_current(lane);
  Fiber& fiber = *lane.fiber;
  if (!fiber.started) {
    start_context(fiber.context, fiber.stack, fiber_main);
    fiber.started = true;
#if defined(SIMT_TSAN)
    fiber.context.thread_sanitizer = __tsan_create_fiber(0);
#endif
  }
  ++switches;
  switch_context(main, fiber.context);
}

/// Goes from a lane back to the scheduler.
void Executor::State::leave() {
  Lane& lane = *current;
  switch_context(lane.fiber->context, main);
}

void Executor::State::fail_at(const Site& site, const std::string& what) {
  error = fmt::format("simt: {}:{}: {} {}", base_name(site.file), site.line, what, place());
  leave();
  __builtin_unreachable();  // run_block starts every fiber anew after an error
}

void Executor::State::finish_current() {
#if defined(SIMT_TSAN)
  __tsan_release(&launch_tag);
#endif
  current->wait = Wait::done;
  --alive;
  release_barrier();
}

/// Lets the lanes at a barrier go on once all that have not exited are there.
void Executor::State::release_barrier() {
  if (alive == 0 || at_barrier != alive || !error.empty()) return;
  const Site* first = nullptr;
  for (Lane& lane : lanes) {
    if (lane.wait != Wait::barrier) continue;
    if (first == nullptr) first = &lane.site;
    if (!same(lane.site, *first)) {
      error = fmt::format("simt: {}:{}: divergent __syncthreads: other threads of the block wait at {}:{} {}",
                          base_name(lane.site.file), lane.site.line, base_name(first->file), first->line, place());
      return;
    }
    lane.wait = Wait::runnable;
  }
  at_barrier = 0;
}

void Executor::State::report_deadlock() {
  error = "simt: deadlock: ";
  for (size_t i = 0; i < lanes.size() && error.size() < 400; ++i) {
    const Lane& lane = lanes[i];
    if (i > 0 && lane.wait == lanes[i - 1].wait && (lane.wait == Wait::done || same(lane.site, lanes[i - 1].site))) {
      continue;
    }
    error += lane.wait == Wait::done
                 ? fmt::format("from thread {} exited; ", i)
                 : fmt::format("from thread {} at {}:{}, a {}; ", i, base_name(lane.site.file), lane.site.line,
                               lane.wait == Wait::barrier ? "barrier" : "collective of a warp");
  }
  error += fmt::format("[block {},{},{}]", blockIdx.x, blockIdx.y, blockIdx.z);
}

void Executor::State::start_block(unsigned threads) {
  arena.renew();
#if defined(SIMT_ASAN)
  __asan_poison_memory_region(arena.begin(), arena.bytes());
#endif
  arena_used = static_shared = 0;
  shared.clear();
  dynamic = dynamic_bytes == 0 ? nullptr : reserve(&dynamic, dynamic_bytes, {"dynamic shared memory", 0});
  lanes.assign(threads, Lane{});
  for (unsigned i = 0; i < threads; ++i) lanes[i].id = i;
  alive = threads;
  at_barrier = 0;
  next = 0;
  error.clear();
  order.resize(threads);
  std::iota(order.begin(), order.end(), 0u);
  if (schedule == 0) return;
  uint64_t random = schedule * 0x9E3779B97F4A7C15u + blockIdx.x;
  for (size_t i = threads; i > 1; --i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    std::swap(order[i - 1], order[(random >> 33) % i]);
  }
}

void Executor::State::visit_lanes() {
  while (alive > 0 && error.empty()) {
    bool progress = false;
    for (const unsigned id : order) {
      Lane& lane = lanes[id];
      if (lane.wait != Wait::unstarted && lane.wait != Wait::runnable) continue;
      progress = true;
      enter(lane);
      if (!error.empty()) return;
    }
    if (!progress) report_deadlock();
  }
}

void Executor::State::check_red_zones() {
#if defined(SIMT_ASAN)
  __asan_unpoison_memory_region(arena.begin(), arena_used);
#endif
  for (const SharedArray& array : shared) {
    const size_t padded = (array.bytes + 7) / 8 * 8;
    const auto* before = reinterpret_cast<const uint64_t*>(array.begin - red_zone);
    const auto* after = reinterpret_cast<const uint64_t*>(array.begin + padded);
    for (size_t i = 0; i < red_zone / 8; ++i) {
      if (before[i] == red_zone_word && after[i] == red_zone_word) continue;
      error = fmt::format("simt: {}:{}: something was written next to this shared array of {} bytes [block {},{},{}]",
                          base_name(array.site.file), array.site.line, array.bytes, blockIdx.x, blockIdx.y, blockIdx.z);
      return;
    }
  }
}

void Executor::State::run_block(unsigned threads) {
  start_block(threads);
  visit_lanes();
  if (error.empty()) check_red_zones();
#if defined(SIMT_TSAN)
  const bool abandon = true;  // the sanitizer must see each block's lanes as new threads
#else
  const bool abandon = !error.empty();  // some fibers stopped midway
#endif
  if (!abandon) return;
  idle.clear();
  for (const auto& fiber : fibers) {
#if defined(SIMT_TSAN)
    if (fiber->started) __tsan_destroy_fiber(fiber->context.thread_sanitizer);
#endif
    fiber->started = false;
    idle.push_back(fiber.get());
  }
  if (!error.empty()) fail("{}", error);
}

char* Executor::State::reserve(const void* key, size_t bytes, const Site& site) {
  const size_t padded = (bytes + 7) / 8 * 8;
  if (shared.size() == max_shared_arrays || arena_used + padded + 2 * red_zone > arena_bytes) {
    fail_at(site, fmt::format("more shared memory than a block has, {} bytes in {} arrays", max_shared_bytes,
                              max_shared_arrays));
  }
  char* const zone = arena.begin() + (arena_used + 63) / 64 * 64;
  char* const begin = zone + red_zone;
#if defined(SIMT_ASAN)
  __asan_unpoison_memory_region(zone, padded + 2 * red_zone);
#endif
  fill(zone, red_zone, red_zone_word);
  fill(begin, padded, not_a_number);
  fill(begin + padded, red_zone, red_zone_word);
  arena_used = static_cast<size_t>(begin + padded + red_zone - arena.begin());
#if defined(SIMT_ASAN)
  __asan_poison_memory_region(zone, red_zone);
  __asan_poison_memory_region(begin + bytes, padded - bytes + red_zone);
#endif
  shared.push_back({key, begin, bytes, site});
  return begin;
}

Executor::Executor(uint64_t schedule) : state_(std::make_unique<State>()) { state_->schedule = schedule; }

Executor::~Executor() = default;

int64_t Executor::switches() const { return state_->switches; }

void Executor::run(dim3 grid, dim3 block, size_t dynamic_shared_bytes, const void* body, void (*invoke)(const void*)) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  CHECK(threads >= 1 && threads <= max_threads_in_block && block.z <= 64,
        "simt: a block of {} x {} x {} threads; at "
        "most {} in all and 64 in z",
        block.x, block.y, block.z, max_threads_in_block);
  CHECK(grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535,
        "simt: a grid of {} x {} x {} blocks; at most "
        "2^31 - 1, 65535 and 65535",
        grid.x, grid.y, grid.z);
  CHECK(dynamic_shared_bytes <= max_shared_bytes, "simt: {} bytes of shared memory; a block has {}",
        dynamic_shared_bytes, max_shared_bytes);
  State& state = *state_;
  const std::scoped_lock lock(state.one_kernel);
  CHECK(running == nullptr, "simt: a kernel launched a kernel");
  struct Running {
    explicit Running(State& state) { running = &state; }
    ~Running() { running = nullptr; }
  } const mark(state);
  state.body = body;
  state.invoke = invoke;
  state.dynamic_bytes = dynamic_shared_bytes;
  gridDim = grid;
  blockDim = block;
#if defined(SIMT_TSAN)
  state.main.thread_sanitizer = __tsan_get_current_fiber();
#endif
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  for (uint64_t i = 0; i < blocks; ++i) {
    // Backwards, or rotated: enough to show a kernel that relies on the order of its blocks.
    const uint64_t n = state.schedule == 0       ? i
                       : state.schedule % 2 == 0 ? blocks - 1 - i
                                                 : (i + state.schedule) % blocks;
    blockIdx = {static_cast<unsigned>(n % grid.x), static_cast<unsigned>(n / grid.x % grid.y),
                static_cast<unsigned>(n / (uint64_t{grid.x} * grid.y))};
    state.run_block(static_cast<unsigned>(threads));
  }
#if defined(SIMT_TSAN)
  __tsan_acquire(&state.launch_tag);
#endif
}

void* shared_array(const void* key, size_t bytes, Site at) {
  Executor::State& state = *running;
  for (const SharedArray& array : state.shared) {
    if (array.key == key) return array.begin;
  }
  state.static_shared += bytes;
  if (state.static_shared > max_static_shared_bytes) {
    state.fail_at(at, fmt::format("SIMT_SHARED arrays of {} bytes in all; a block may have {}, more only as the shared "
                                  "memory of its launch",
                                  state.static_shared, max_static_shared_bytes));
  }
  return state.reserve(key, bytes, at);
}

void* dynamic_shared_array() { return running->dynamic; }

void wait_at_barrier(Site at) {
  Executor::State& state = *running;
  Lane& lane = *state.current;
#if defined(SIMT_TSAN)
  __tsan_release(&state.barrier_tag);
#endif
  lane.site = at;
  lane.wait = Wait::barrier;
  ++state.at_barrier;
  state.release_barrier();
  if (lane.wait != Wait::runnable || !state.error.empty()) state.leave();
#if defined(SIMT_TSAN)
  __tsan_acquire(&state.barrier_tag);
#endif
}

namespace {

/// The lanes of a warp that a mask names and that have not exited.
template <class F>
void each_lane(Executor::State& state, unsigned base, uint32_t mask, F&& f) {
  for (unsigned i = 0; i < warp_size && base + i < state.lanes.size(); ++i) {
    if ((mask >> i & 1u) != 0 && state.lanes[base + i].wait != Wait::done) f(i, state.lanes[base + i]);
  }
}

/// All lanes of the mask are here: gives each its result and lets it go on.
void complete(Executor::State& state, unsigned base, const Lane& caller) {
  uint64_t votes = 0;
  each_lane(state, base, caller.mask, [&](unsigned i, Lane& lane) { votes |= uint64_t{lane.value != 0} << i; });
  uint32_t here = 0;
  each_lane(state, base, caller.mask, [&](unsigned i, Lane&) { here |= 1u << i; });
  each_lane(state, base, caller.mask, [&](unsigned, Lane& lane) {
    if (lane.operation == Collective::ballot) lane.result = votes;
    if (lane.operation != Collective::shuffle || !state.error.empty()) return;
    if ((here >> lane.source & 1u) == 0) {
      state.error =
          fmt::format("simt: {}:{}: a shuffle reads lane {}, which has exited or is outside the mask {:#x} {}",
                      base_name(lane.site.file), lane.site.line, lane.source, lane.mask, place());
      return;
    }
    lane.result = state.lanes[base + static_cast<unsigned>(lane.source)].value;
  });
  each_lane(state, base, caller.mask, [&](unsigned, Lane& lane) { lane.wait = Wait::runnable; });
}

}  // namespace

uint64_t wait_in_warp(Collective operation, uint32_t mask, uint64_t value, int source, Site at) {
  Executor::State& state = *running;
  Lane& me = *state.current;
  const unsigned lane = me.id % warp_size, base = me.id - lane;
  if ((mask >> lane & 1u) == 0) {
    state.fail_at(at,
                  fmt::format("lane {} calls a collective with the mask {:#x}, which does not name it", lane, mask));
  }
#if defined(SIMT_TSAN)
  if (operation == Collective::sync) __tsan_release(&state.warp_tags[base / warp_size]);
#endif
  me.operation = operation;
  me.mask = mask;
  me.value = value;
  me.source = source;
  me.site = at;
  me.wait = Wait::warp;
  bool all_here = true;
  each_lane(state, base, mask, [&](unsigned, Lane& other) {
    if (other.wait != Wait::warp || (other.mask >> lane & 1u) == 0) {
      all_here = false;
    } else if (state.error.empty() && (other.operation != operation || other.mask != mask || !same(other.site, at))) {
      state.error = fmt::format("simt: {}:{}: divergent collective: lane {} of the same mask waits at {}:{} {}",
                                base_name(at.file), at.line, other.id % warp_size, base_name(other.site.file),
                                other.site.line, place());
    }
  });
  if (all_here && state.error.empty()) complete(state, base, me);
  if (me.wait != Wait::runnable || !state.error.empty()) state.leave();
#if defined(SIMT_TSAN)
  if (operation == Collective::sync) __tsan_acquire(&state.warp_tags[base / warp_size]);
#endif
  return me.result;
}

}  // namespace sae::simt
