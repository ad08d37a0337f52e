#include "ops/batch_topk/batch_topk_cpu.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "engine/order_key.h"
#include "engine/parallel.h"

namespace sae::cpu {
namespace {

constexpr int bin_bits = 14;

/// The leading bits of a number's place in order.
template <class T>
size_t bin_of(T value) {
  return static_cast<size_t>(order_key(value) >> (8 * sizeof(T) - bin_bits));
}

constexpr int64_t chunk = 1 << 18;  // elements

/// How many values lie in each bin; the position of one that is not finite goes to `not_finite`.
template <class T>
std::vector<int64_t> histogram(const T* values, int64_t count, int64_t& not_finite) {
  const auto chunks = static_cast<size_t>((count + chunk - 1) / chunk);
  std::vector<std::vector<int32_t>> parts(chunks);
  std::vector<int64_t> bad(chunks, -1);
  parallel_for(count, chunk, [&](int64_t begin, int64_t end) {
    const auto part = static_cast<size_t>(begin / chunk);
    parts[part].assign(size_t{1} << bin_bits, 0);
    for (int64_t i = begin; i < end; ++i) {
      if (!std::isfinite(values[i])) bad[part] = i;
      ++parts[part][bin_of(values[i])];
    }
  });
  std::vector<int64_t> bins(size_t{1} << bin_bits, 0);
  for (size_t part = 0; part < chunks; ++part) {
    for (size_t bin = 0; bin < bins.size(); ++bin) bins[bin] += parts[part][bin];
    if (not_finite < 0) not_finite = bad[part];
  }
  return bins;
}

/// The positions of the values of one bin, ascending.
template <class T>
std::vector<int64_t> members(const T* values, int64_t count, size_t bin) {
  std::vector<std::vector<int64_t>> parts(static_cast<size_t>((count + chunk - 1) / chunk));
  parallel_for(count, chunk, [&](int64_t begin, int64_t end) {
    std::vector<int64_t>& part = parts[static_cast<size_t>(begin / chunk)];
    for (int64_t i = begin; i < end; ++i) {
      if (bin_of(values[i]) == bin) part.push_back(i);
    }
  });
  std::vector<int64_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

template <class T>
Cut<T> cut_of_largest(const T* values, int64_t count, int64_t wanted) {
  Cut<T> cut;
  const std::vector<int64_t> bins = histogram(values, count, cut.not_finite);
  if (cut.not_finite >= 0) return cut;
  size_t bin = bins.size() - 1;
  for (; bins[bin] < wanted; --bin) wanted -= bins[bin];  // what is left to choose within the bin

  const std::vector<int64_t> positions = members(values, count, bin);
  std::vector<T> sorted;
  for (const int64_t i : positions) sorted.push_back(values[i]);
  const auto last = sorted.begin() + (wanted - 1);
  std::nth_element(sorted.begin(), last, sorted.end(), std::greater<>());
  cut.value = *last;
  int64_t ties = wanted - std::count_if(sorted.begin(), sorted.end(), [&](T value) { return value > cut.value; });
  for (const int64_t i : positions) {
    if (values[i] == cut.value && ties-- > 0) cut.last_tie = i;
  }
  return cut;
}

template Cut<float> cut_of_largest<float>(const float*, int64_t, int64_t);
template Cut<double> cut_of_largest<double>(const double*, int64_t, int64_t);

}  // namespace sae::cpu
