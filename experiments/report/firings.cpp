#include "experiments/report/firings.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/error.h"
#include "engine/philox.h"

namespace sae {

Firings find_firings(const Autoencoder& autoencoder, const SplitRows& rows) {
  CHECK(rows.width() == autoencoder.options().width,
        "report: the autoencoder reads activations of width {}, the store holds width {}", autoencoder.options().width,
        rows.width());
  constexpr int64_t batch = 1024;
  const auto host = Device::open(DeviceKind::cpu);
  Firings firings(static_cast<size_t>(autoencoder.options().latents));
  for (int64_t begin = 0; begin < rows.rows(); begin += batch) {
    const int64_t end = std::min(rows.rows(), begin + batch);
    const auto numbers = rows.selection().rows(begin, end);
    const Tensor x = rows.range(begin, end, autoencoder.options().normalisation);
    const Value latents = to_device(encode(autoencoder, x), *host);
    const SparseRows pattern = sparse_rows("report", latents);
    const float* values = stored_values(latents).data<float>();
    for (int64_t row = 0; row < end - begin; ++row) {
      for (int64_t i = pattern.begin(row); i < pattern.end(row); ++i) {
        if (values[i] > 0) {
          firings[static_cast<size_t>(pattern.index[i])].push_back({numbers[static_cast<size_t>(row)], values[i]});
        }
      }
    }
  }
  return firings;
}

LatentStatistics latent_statistics(const std::vector<Firing>& firings, const SplitRows& rows) {
  LatentStatistics statistics;
  statistics.histogram.assign(histogram_bins, 0);
  if (firings.empty()) return statistics;
  std::map<int32_t, double> by_token;
  double sum = 0;
  for (const Firing& firing : firings) {
    const auto value = static_cast<double>(firing.value);
    sum += value;
    statistics.maximum = std::max(statistics.maximum, value);
    by_token[rows.store().token_ids()[static_cast<size_t>(firing.row)]] += value;
  }
  statistics.density = static_cast<double>(firings.size()) / static_cast<double>(rows.rows());
  statistics.mean = sum / static_cast<double>(firings.size());
  for (const Firing& firing : firings) {
    const double part = static_cast<double>(firing.value) / statistics.maximum;
    const auto bin = std::min<int64_t>(histogram_bins - 1, static_cast<int64_t>(part * histogram_bins));
    ++statistics.histogram[static_cast<size_t>(bin)];
  }
  std::vector<std::pair<double, int32_t>> strongest;
  for (const auto& [token, total] : by_token) strongest.emplace_back(-total, token);
  std::sort(strongest.begin(), strongest.end());
  for (size_t i = 0; i < std::min<size_t>(5, strongest.size()); ++i) statistics.tokens.push_back(strongest[i].second);
  return statistics;
}

namespace {

/// `count` of `items`, drawn without replacement, in the order drawn.
template <class T>
std::vector<T> drawn(std::vector<T> items, int64_t count, const Philox& random) {
  const auto size = static_cast<int64_t>(items.size());
  count = std::min(count, size);
  for (int64_t i = 0; i < count; ++i) {
    const double uniform = static_cast<double>(random.uniform(static_cast<uint64_t>(i)));
    const int64_t other = std::min(size - 1, i + static_cast<int64_t>(uniform * static_cast<double>(size - i)));
    std::swap(items[static_cast<size_t>(i)], items[static_cast<size_t>(other)]);
  }
  items.resize(static_cast<size_t>(count));
  return items;
}

}  // namespace

std::vector<Firing> random_firings(const std::vector<Firing>& firings, int64_t count, uint64_t seed, int64_t latent) {
  return drawn(firings, count, Philox(seed, static_cast<uint64_t>(latent) + 1));
}

std::vector<Firing> top_firings(const std::vector<Firing>& firings, int64_t count, int64_t context_length) {
  std::vector<Firing> sorted = firings;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Firing& a, const Firing& b) { return a.value > b.value; });
  std::vector<Firing> top;
  std::set<int64_t> contexts;
  for (const Firing& firing : sorted) {
    if (static_cast<int64_t>(top.size()) == count) break;
    if (contexts.insert(firing.row / context_length).second) top.push_back(firing);
  }
  return top;
}

std::vector<int64_t> sample_latents(const Firings& firings, int64_t count, const std::vector<int64_t>& included,
                                    uint64_t seed) {
  const auto latents = static_cast<int64_t>(firings.size());
  std::set<int64_t> chosen;
  for (const int64_t latent : included) {
    CHECK(0 <= latent && latent < latents, "latent {}: the autoencoder has latents 0 to {}", latent, latents - 1);
    chosen.insert(latent);
  }
  std::vector<int64_t> others;
  for (int64_t latent = 0; latent < latents; ++latent) {
    const bool fired = !firings[static_cast<size_t>(latent)].empty();
    if (chosen.count(latent) == 0 && (fired || count == 0)) others.push_back(latent);
  }
  const int64_t left = count == 0 ? latents : std::max<int64_t>(0, count - static_cast<int64_t>(chosen.size()));
  for (const int64_t latent : drawn(std::move(others), left, Philox(seed, 0))) chosen.insert(latent);
  return {chosen.begin(), chosen.end()};
}

}  // namespace sae
