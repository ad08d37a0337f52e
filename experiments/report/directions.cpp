#include "experiments/report/directions.h"

#include <algorithm>
#include <numeric>

#include "engine/parallel.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/matmul/matmul.h"

namespace sae {
namespace {

constexpr size_t tokens_shown = 10, neighbours_shown = 8;

/// The `count` places of the largest values (or, with sign -1, the smallest), best first; ties go to the lower place.
std::vector<Scored> best(const float* values, int64_t size, size_t count, float sign, int64_t left_out = -1) {
  std::vector<int32_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  if (left_out >= 0) order.erase(order.begin() + left_out);
  count = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](int32_t a, int32_t b) {
                      const float x = sign * values[a], y = sign * values[b];
                      return x != y ? x > y : a < b;
                    });
  std::vector<Scored> found;
  for (size_t i = 0; i < count; ++i) found.emplace_back(order[i], values[order[i]]);
  return found;
}

Tensor rows_of_decoder(const Tensor& decoder, std::span<const int64_t> latents) {
  const std::vector<int32_t> index(latents.begin(), latents.end());
  return std::get<Tensor>(
      gather_rows(decoder, Tensor::from(decoder.device(), {static_cast<int64_t>(index.size())}, index)).value);
}

}  // namespace

std::vector<DirectionReport> direction_reports(const LanguageModel& model, const Autoencoder& autoencoder, Site site,
                                               std::span<const int64_t> latents) {
  constexpr size_t at_once = 256;
  const Tensor& decoder = autoencoder.decoder().value();
  const bool in_residual_stream = site != Site::mlp_hidden;
  std::vector<float> nothing;
  if (in_residual_stream) {
    nothing = model.logits(Tensor::zeros(decoder.device(), {1, decoder.cols()}, Dtype::f32)).to_vector<float>();
  }
  const auto vocabulary = static_cast<int64_t>(nothing.size());
  std::vector<DirectionReport> reports(latents.size());
  for (size_t begin = 0; begin < latents.size(); begin += at_once) {
    const auto some = latents.subspan(begin, std::min(at_once, latents.size() - begin));
    const Tensor rows = rows_of_decoder(decoder, some);
    std::vector<float> scores;
    if (in_residual_stream) scores = model.logits(rows).to_vector<float>();
    const std::vector<float> cosines = dense_product(rows, false, decoder, true).to_vector<float>();
    parallel_for(static_cast<int64_t>(some.size()), 1, [&](int64_t i, int64_t) {
      DirectionReport& report = reports[begin + static_cast<size_t>(i)];
      report.nearest =
          best(cosines.data() + i * decoder.rows(), decoder.rows(), neighbours_shown, 1, some[static_cast<size_t>(i)]);
      if (!in_residual_stream) return;
      std::vector<float> effects(nothing.size());
      std::transform(nothing.begin(), nothing.end(), scores.begin() + i * vocabulary, effects.begin(),
                     [](float zero, float score) { return score - zero; });
      report.promoted = best(effects.data(), vocabulary, tokens_shown, 1);
      report.suppressed = best(effects.data(), vocabulary, tokens_shown, -1);
    });
  }
  return reports;
}

}  // namespace sae
