#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <utility>

#ifdef _OPENMP
#include <omp.h>
#endif

// The only user of OpenMP. oneDNN brings OpenMP's threads along, and a second pool would fight with it for the cores.
// Work is cut by position alone, so that a result does not depend on the number of threads.

namespace sae {

inline void set_threads([[maybe_unused]] int threads) {
#ifdef _OPENMP
  omp_set_num_threads(threads);
#endif
}

inline int threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// How the chunks of a loop reach the threads: dealt in turn, or to whoever is free, which suits chunks of unequal
/// work. What a chunk computes must not depend on the thread in either case.
enum class Deal { in_turn, to_the_free };

/// Calls body(begin, end) over [0, count) in chunks of `grain`. A thrown exception is carried to the caller after the
/// loop.
template <class Body>
void parallel_for(int64_t count, int64_t grain, Body&& body, [[maybe_unused]] Deal deal = Deal::in_turn) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t chunks = (count + grain - 1) / grain;
  std::exception_ptr error;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;
  const auto run_chunk = [&](int64_t chunk) {
    try {
      body(chunk * grain, std::min(count, (chunk + 1) * grain));
    } catch (...) {
      if (!failed.test_and_set()) error = std::current_exception();
    }
  };
#ifdef _OPENMP
  if (deal == Deal::to_the_free && chunks > 1) {
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t chunk = 0; chunk < chunks; ++chunk) run_chunk(chunk);
  } else {
#pragma omp parallel for schedule(static, 1) if (chunks > 1)
    for (int64_t chunk = 0; chunk < chunks; ++chunk) run_chunk(chunk);
  }
#else
  for (int64_t chunk = 0; chunk < chunks; ++chunk) run_chunk(chunk);
#endif
  if (error) std::rethrow_exception(error);
}

/// A grain that gives each chunk about 32 K elements when every item has `item_elements` of them.
inline int64_t grain_for(int64_t item_elements) {
  return std::max<int64_t>(1, 32768 / std::max<int64_t>(1, item_elements));
}

}  // namespace sae
