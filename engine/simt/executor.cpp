#include "engine/simt/executor.h"

#include <algorithm>
#include <exception>
#include <numeric>
#include <utility>

#include "engine/error.h"
#include "engine/simt/executor_state.h"

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

/// What every fiber runs: one lane, and where lanes may share a fiber all that follow until one waits.
void fiber_main() {
  Executor::State& state = *running;
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(nullptr, &state.main.bottom, &state.main.bytes);
#endif
  for (;;) {
    Fiber* fiber = state.current->fiber;
    hear(state.places->start);
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

std::string place() {
  return fmt::format("[block {},{},{} thread {},{},{}]", blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y,
                     threadIdx.z);
}

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

/// A fiber for a lane that starts.
Fiber* Executor::State::free_fiber() {
  if (fiber_for_each_lane) {
    Fiber* const fiber = fibers[next_fiber].get();
    next_fiber = (next_fiber + 1) % fibers.size();
    return fiber;
  }
  if (idle.empty()) {
    fibers.push_back(std::make_unique<Fiber>());
    return fibers.back().get();
  }
  Fiber* const fiber = idle.back();
  idle.pop_back();
  return fiber;
}

/// Continues a lane; returns when it waits or has finished.
void Executor::State::enter(Lane& lane) {
  if (lane.fiber == nullptr) lane.fiber = free_fiber();
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
  if (!error.empty()) announce(end_of_launch);
  switch_context(lane.fiber->context, main);
}

void Executor::State::fail_at(const Site& site, std::string what) {
  error = fmt::format("simt: {}:{}: {} {}", base_name(site.file), site.line, std::exchange(what, {}), place());
  leave();                  // for good: nothing that is still on this stack is destroyed
  __builtin_unreachable();  // run_block starts every fiber anew after an error
}

void Executor::State::finish_current() {
  announce(end_of_launch);
  current->wait = Wait::done;
  --alive;
  release_barrier();
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
  if (fiber_for_each_lane) {
    places = std::make_unique<MeetingPlaces>();
    // Lanes of two blocks in turn are then different threads to the sanitizer, and those of three mostly.
    while (fibers.size() < 2 * threads + 1) fibers.push_back(std::make_unique<Fiber>());
  }
  shared.renew();
  static_shared = 0;
  announce(places->start);
  lanes.assign(threads, Lane{});
  for (unsigned i = 0; i < threads; ++i) lanes[i].id = i;
  alive = threads;
  at_barrier = barriers = 0;
  std::fill(std::begin(warp_barriers), std::end(warp_barriers), 0u);
  next = 0;
  error.clear();
  order_lanes(threads);
  dynamic_array =
      dynamic_shared == 0 ? nullptr : add_shared(&dynamic_array, dynamic_shared, {"dynamic shared memory", 0});
}

void Executor::State::order_lanes(unsigned threads) {
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

void Executor::State::run_block(unsigned threads) {
  start_block(threads);
  visit_lanes();
  if (error.empty()) error = shared.damage();
  if (error.empty()) return;
  hear(end_of_launch);  // the lane that wrote `error`
  idle.clear();
  for (const auto& fiber : fibers) {  // some of which stopped midway
    fiber->abandon();
    idle.push_back(fiber.get());
  }
  fail("{}", error);
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
  state.dynamic_shared = dynamic_shared_bytes;
  gridDim = grid;
  blockDim = block;
  state.next_fiber = 0;
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
  hear(state.end_of_launch);
}

}  // namespace sae::simt
