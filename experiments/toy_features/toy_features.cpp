#include "experiments/toy_features/toy_features.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/parallel.h"
#include "experiments/common/dictionary_match.h"

namespace sae {
namespace {

/// Streams of the seed: directions, then one for each batch. Not those of an autoencoder's start: with one seed for
/// both, its decoder would begin as the directions.
enum : uint64_t { direction_stream = 900, first_batch_stream = 1000 };
/// Batches beyond those that anybody trains on.
constexpr uint64_t statistics_batch = uint64_t{1} << 40;

/// Probabilities that fall geometrically by `ratio` from the first to the last and add up to `total`.
std::vector<double> falling(int64_t count, double ratio, double total) {
  std::vector<double> values;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double part = count > 1 ? static_cast<double>(i) / static_cast<double>(count - 1) : 0;
    values.push_back(std::pow(ratio, -part));
    sum += values.back();
  }
  for (double& value : values) value *= total / sum;
  CHECK(values.front() <= 1,
        "toy features: {} active features of {} would make the most frequent one active more than always", total,
        count);
  return values;
}

}  // namespace

ToyData::ToyData(Device& device, const ToyOptions& options) : device_(device), options_(options) {
  CHECK(options.width >= 1 && options.features >= 1, "toy features: {} features in width {}", options.features,
        options.width);
  CHECK(options.active > 0 && options.frequency_ratio >= 1,
        "toy features: {} active features and a frequency ratio of {}; expected above 0, and at least 1",
        options.active, options.frequency_ratio);
  directions_ = unit_rows(
      normal_tensor(device, {options.features, options.width}, Dtype::f32, Philox(options.seed, direction_stream)));
  probabilities_ = falling(options.features, options.frequency_ratio, options.active);
  const Tensor sample = batch(statistics_batch, 32768);
  const Tensor sum = column_sum(sample).to(Dtype::f64);
  std::vector<float> mean;
  for (int64_t i = 0; i < options.width; ++i) mean.push_back(static_cast<float>(sum.data<double>()[i] / 32768));
  for (int64_t i = 0; i < sample.elements(); ++i) {
    const double centred = static_cast<double>(sample.data<float>()[i]) -
                           static_cast<double>(mean[static_cast<size_t>(i % options.width)]);
    variance_ += centred * centred / static_cast<double>(sample.elements());
  }
  mean_ = Tensor::from(device, {options.width}, mean);
}

Tensor ToyData::batch(uint64_t index, int64_t rows) const {
  Writable out = Tensor::empty(device_, {rows, options_.width}, Dtype::f32);
  float* x = out.data<float>();
  const int64_t width = options_.width;
  const Philox random(options_.seed, first_batch_stream + index);
  parallel_for(rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* to = x + row * width;
      std::fill_n(to, width, 0.0f);
      for (int64_t f = 0; f < options_.features; ++f) {
        const auto draw = static_cast<uint64_t>(2 * (row * options_.features + f));
        if (static_cast<double>(random.uniform(draw)) >= probabilities_[static_cast<size_t>(f)]) continue;
        const double strength = 0.5 - 0.5 * std::log1p(-static_cast<double>(random.uniform(draw + 1)));
        const float* direction = directions_.data<float>() + f * width;
        for (int64_t i = 0; i < width; ++i) to[i] += static_cast<float>(strength) * direction[i];
      }
    }
  });
  return std::move(out).freeze();
}

}  // namespace sae
