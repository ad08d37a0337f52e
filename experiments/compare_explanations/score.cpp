#include "experiments/compare_explanations/score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "engine/error.h"
#include "ops/input_normalisation/input_normalisation.h"

namespace sae {

std::vector<RowActivation> predict_stream(const PatternTrie& patterns, const TokenStream& stream) {
  std::vector<RowActivation> found;
  const auto look = [&](int32_t row) {
    const double activation = patterns.predict(stream.context(row));
    if (activation > 0) found.push_back({row, activation});
  };
  if (patterns.ends_on_any_token()) {
    for (int64_t row = 0; row < stream.rows(); ++row) look(static_cast<int32_t>(row));
    return found;
  }
  for (const int32_t token : patterns.last_tokens()) {
    for (const int32_t row : stream.rows_at(token)) look(row);
  }
  std::sort(found.begin(), found.end(), [](const RowActivation& a, const RowActivation& b) { return a.row < b.row; });
  return found;
}

std::vector<RowActivation> true_firings(const LatentFirings& firings, int64_t latent) {
  const auto rows = firings.rows_of(latent);
  const auto values = firings.values_of(latent);
  std::vector<RowActivation> found;
  for (size_t i = 0; i < rows.size(); ++i) found.push_back({rows[i], static_cast<double>(values[i])});
  return found;
}

namespace {

double ratio(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

double Counts::precision() const { return ratio(both, predicted()); }
double Counts::recall() const { return ratio(both, truths()); }
double Counts::f1() const { return ratio(2 * both, predicted() + truths()); }

Counts count_matches(const std::vector<RowActivation>& predicted, const std::vector<RowActivation>& truth,
                     double threshold) {
  Counts counts;
  size_t i = 0;
  const auto next_truth = [&](int32_t row) {  // is there a true firing at this row? Those before it were missed
    while (i < truth.size() && truth[i].row < row) counts.true_only += truth[i++].activation > threshold ? 1 : 0;
    return i < truth.size() && truth[i].row == row && truth[i].activation > threshold;
  };
  for (const RowActivation& prediction : predicted) {
    if (!(prediction.activation > threshold)) continue;
    if (next_truth(prediction.row)) {
      ++counts.both;
      ++i;
    } else {
      ++counts.predicted_only;
    }
  }
  next_truth(std::numeric_limits<int32_t>::max());
  return counts;
}

namespace {

/// FNV-1a over the last n tokens; 0 where there are fewer.
uint64_t hash_of_last(std::span<const int32_t> context, int64_t n) {
  if (static_cast<int64_t>(context.size()) < n) return 0;
  uint64_t hash = 0xcbf29ce484222325u;
  for (const int32_t token : context.last(static_cast<size_t>(n))) {
    hash = (hash ^ static_cast<uint32_t>(token)) * 0x100000001b3u;
    hash ^= hash >> 29;
  }
  return std::max<uint64_t>(hash, 1);
}

}  // namespace

NgramLookup::NgramLookup(const TokenStream& learnt_from, const TokenStream& applied_to, int64_t n) {
  CHECK(n >= 1, "n-gram lookup: n is {}", n);
  for (int64_t row = 0; row < learnt_from.rows(); ++row) {
    learnt_.push_back(hash_of_last(learnt_from.context(row), n));
  }
  for (int64_t row = 0; row < applied_to.rows(); ++row) {
    applied_.emplace_back(hash_of_last(applied_to.context(row), n), static_cast<int32_t>(row));
  }
  std::sort(applied_.begin(), applied_.end());
}

std::vector<RowActivation> NgramLookup::predict(const LatentFirings& firings, int64_t latent) const {
  std::unordered_map<uint64_t, double> strongest;
  for (const RowActivation& firing : true_firings(firings, latent)) {
    const uint64_t hash = learnt_[static_cast<size_t>(firing.row)];
    if (hash != 0) strongest[hash] = std::max(strongest[hash], firing.activation);
  }
  std::vector<RowActivation> found;
  for (const auto& [hash, activation] : strongest) {
    auto at = std::lower_bound(applied_.begin(), applied_.end(), std::pair<uint64_t, int32_t>(hash, 0));
    for (; at != applied_.end() && at->first == hash; ++at) found.push_back({at->second, activation});
  }
  std::sort(found.begin(), found.end(), [](const RowActivation& a, const RowActivation& b) { return a.row < b.row; });
  return found;
}

Autoencoder random_autoencoder(const Autoencoder& like, uint64_t seed) {
  return Autoencoder::initialise(like.options(), like.pre_bias().value(), seed);
}

Autoencoder channel_autoencoder(const ActivationStore& store, const RowSelection& selection, int64_t k,
                                Device& device) {
  const int64_t width = store.width();
  AutoencoderOptions options;
  options.width = width;
  options.latents = 2 * width;
  options.k = std::min(k, options.latents);
  constexpr int64_t at_once = 4096;
  const auto host = Device::open(DeviceKind::cpu);
  std::vector<double> sum(static_cast<size_t>(width)), squares(static_cast<size_t>(width));
  for (int64_t begin = 0; begin < selection.count(); begin += at_once) {
    const int64_t end = std::min(selection.count(), begin + at_once);
    const Tensor rows = normalise(store.gather(selection.rows(begin, end), *host), options.normalisation).rows;
    for (int64_t i = 0; i < rows.elements(); ++i) {
      const auto value = static_cast<double>(rows.data<float>()[i]);
      sum[static_cast<size_t>(i % width)] += value;
      squares[static_cast<size_t>(i % width)] += value * value;
    }
  }
  std::vector<float> mean(static_cast<size_t>(width)), encoder(static_cast<size_t>(2 * width * width), 0.0f);
  for (size_t i = 0; i < mean.size(); ++i) {
    const auto count = static_cast<double>(selection.count());
    const double centre = sum[i] / count, variance = squares[i] / count - centre * centre;
    const auto scale = static_cast<float>(variance > 0 ? 1 / std::sqrt(variance) : 0.0);
    mean[i] = static_cast<float>(centre);
    encoder[i * mean.size() + i] = scale;
    encoder[(i + mean.size()) * mean.size() + i] = -scale;
  }
  const Tensor matrix = Tensor::from(device, {options.latents, width}, encoder);
  return Autoencoder(options, matrix, Tensor::zeros(device, {options.latents}, Dtype::f32), matrix,
                     Tensor::from(device, {width}, mean));
}

}  // namespace sae
