#include "experiments/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/error.h"

namespace sae {

Sampler::Sampler(SamplerOptions options) : options_(options), random_(options.seed, 0) {
  CHECK(options.temperature >= 0 && std::isfinite(options.temperature), "sampler: a temperature of {}; 0 is greedy",
        options.temperature);
  CHECK(options.top_k >= 0, "sampler: the {} likeliest tokens; 0 is all", options.top_k);
}

int32_t Sampler::choose(std::span<const float> logits) {
  CHECK(!logits.empty(), "sampler: no scores to choose by");
  const auto best = std::max_element(logits.begin(), logits.end());
  CHECK(std::isfinite(*best), "sampler: the largest score is {}", *best);
  if (options_.temperature == 0) return static_cast<int32_t>(best - logits.begin());

  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto likelier = [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const auto k = static_cast<size_t>(options_.top_k);
  if (k > 0 && k < ids.size()) {
    std::nth_element(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(k), ids.end(), likelier);
    ids.resize(k);
  }
  std::sort(ids.begin(), ids.end());
  const auto weight = [&](int32_t id) {
    return std::exp((static_cast<double>(logits[static_cast<size_t>(id)]) - static_cast<double>(*best)) /
                    options_.temperature);
  };
  double total = 0;
  for (const int32_t id : ids) total += weight(id);
  double left = static_cast<double>(random_.uniform(drawn_++)) * total;
  for (const int32_t id : ids) {
    left -= weight(id);
    if (left < 0) return id;
  }
  return ids.back();  // the draw lay within rounding of the total
}

}  // namespace sae
