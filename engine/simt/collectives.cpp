#include "engine/simt/executor_state.h"

namespace sae::simt {

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
  ++barriers;
}

void wait_at_barrier(Site at) {
  Executor::State& state = *running;
  Lane& lane = *state.current;
  char& meeting_place = state.places->barriers[state.barriers % 2];
  announce(meeting_place);
  lane.site = at;
  lane.wait = Wait::barrier;
  ++state.at_barrier;
  state.release_barrier();
  if (lane.wait != Wait::runnable || !state.error.empty()) state.leave();
  hear(meeting_place);
}

namespace {

/// The lanes of a warp that a mask names and that have not exited.
template <class F>
void each_lane(Executor::State& state, unsigned base, uint32_t mask, F&& f) {
  for (unsigned i = 0; i < warp_size && base + i < state.lanes.size(); ++i) {
    if ((mask >> i & 1u) != 0 && state.lanes[base + i].wait != Wait::done) f(i, state.lanes[base + i]);
  }
}

/// Where the lanes of this mask meet: the place of one that waits already, or the next of the warp's.
char* meeting_place(Executor::State& state, unsigned base, uint32_t mask) {
  char* place = nullptr;
  each_lane(state, base, mask, [&](unsigned, Lane& other) {
    if (other.wait == Wait::warp && other.mask == mask) place = other.meeting_place;
  });
  const unsigned warp = base / warp_size;
  return place != nullptr ? place : &state.places->warps[warp][state.warp_barriers[warp]++ % 4];
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
  if (fiber_for_each_lane && operation == Collective::sync) {
    me.meeting_place = meeting_place(state, base, mask);
    announce(*me.meeting_place);
  }
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
  if (fiber_for_each_lane && operation == Collective::sync) hear(*me.meeting_place);
  return me.result;
}

}  // namespace sae::simt
