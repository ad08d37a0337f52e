#pragma once

#include <cstdint>
#include <vector>

#include "engine/parallel.h"

namespace sae {

/// The sum over i < count of term(i), in double and in one fixed order: element i enters running sum i % 8, and the
/// eight are added as a tree. Eight sums, because one would wait for each addition before it starts the next.
template <class Term>
double lane_sum(int64_t count, Term&& term) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; ++lane) sums[lane] += static_cast<double>(term(i + lane));
  }
  for (int lane = 0; i < count; ++i, ++lane) sums[lane] += static_cast<double>(term(i));
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

/// The sum of part(begin, end) over chunks of `grain`, computed in parallel and added in the order of the chunks, so
/// that the result does not depend on the number of threads.
template <class Part>
double ordered_sum(int64_t count, int64_t grain, Part&& part) {
  std::vector<double> parts(static_cast<size_t>((count + grain - 1) / grain), 0.0);
  parallel_for(count, grain,
               [&](int64_t begin, int64_t end) { parts[static_cast<size_t>(begin / grain)] = part(begin, end); });
  double sum = 0;
  for (const double p : parts) sum += p;
  return sum;
}

}  // namespace sae
