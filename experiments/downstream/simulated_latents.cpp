#include "experiments/downstream/simulated_latents.h"

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/input_normalisation/input_normalisation.h"

namespace sae {

SimulatedLatents::SimulatedLatents(const Autoencoder& autoencoder, std::span<const Explanation> explanations,
                                   const ReplacementPlan& plan)
    : autoencoder_(autoencoder),
      plan_(plan),
      predictor_(explanations),
      explained_(static_cast<int64_t>(explanations.size())) {
  const auto latents = static_cast<size_t>(autoencoder.options().latents);
  has_explanation_.assign(latents, 0);
  products_.assign(latents, 0.0);
  squares_.assign(latents, 0.0);
  for (const Explanation& explanation : explanations) {
    CHECK(explanation.latent < autoencoder.options().latents,
          "explanations: of latent {}, but the autoencoder has {}; these are another's", explanation.latent, latents);
    has_explanation_[static_cast<size_t>(explanation.latent)] = 1;
  }
}

std::vector<std::vector<LatentActivation>> SimulatedLatents::predict(std::span<const int32_t> ids) const {
  const auto length = static_cast<size_t>(plan_.context_length), first = static_cast<size_t>(plan_.skip_positions);
  std::vector<std::vector<LatentActivation>> predicted(ids.size());
  parallel_for(static_cast<int64_t>(ids.size()), 16, [&](int64_t begin, int64_t end) {
    for (auto row = static_cast<size_t>(begin); row < static_cast<size_t>(end); ++row) {
      const size_t position = row % length;
      if (position >= first)
        predicted[row] = predictor_.predict(ids.subspan(row - position + first, position - first + 1));
    }
  });
  return predicted;
}

void SimulatedLatents::calibrate(const LowerPart& part) {
  const auto host = Device::open(DeviceKind::cpu);
  const Tensor rows = normalise(part.activations, autoencoder_.options().normalisation).rows;
  const Value latents = to_device(encode(autoencoder_, rows), *host);
  const SparseRows pattern = sparse_rows("downstream", latents);
  const float* values = stored_values(latents).data<float>();
  const auto predicted = predict(part.ids);
  std::vector<double> activations(has_explanation_.size(), 0.0);
  for (int64_t row = 0; row < static_cast<int64_t>(part.ids.size()); ++row) {
    if (row % plan_.context_length < plan_.skip_positions) continue;
    for (int64_t entry = pattern.begin(row); entry < pattern.end(row); ++entry) {
      const auto latent = static_cast<size_t>(pattern.index[entry]);
      activations[latent] = static_cast<double>(values[entry]);
      if (!(values[entry] > 0)) continue;
      ++firings_;
      firings_explained_ += has_explanation_[latent];
    }
    for (const LatentActivation& one : predicted[static_cast<size_t>(row)]) {
      const auto latent = static_cast<size_t>(one.latent);
      products_[latent] += one.activation * activations[latent];
      squares_[latent] += one.activation * one.activation;
    }
    for (int64_t entry = pattern.begin(row); entry < pattern.end(row); ++entry) {
      activations[static_cast<size_t>(pattern.index[entry])] = 0;
    }
  }
}

double SimulatedLatents::scale(int64_t latent) const {
  const auto i = static_cast<size_t>(latent);
  return squares_[i] > 0 ? products_[i] / squares_[i] : 0;
}

Value SimulatedLatents::simulate(std::span<const int32_t> ids, Device& device) const {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> index;
  std::vector<float> values;
  for (const auto& row : predict(ids)) {
    for (const LatentActivation& one : row) {
      const double value = scale(one.latent) * one.activation;
      if (!(value > 0)) continue;
      index.push_back(one.latent);
      values.push_back(static_cast<float>(value));
    }
    offsets.push_back(static_cast<int64_t>(index.size()));
  }
  const auto stored = static_cast<int64_t>(index.size());
  CompressedRows latents;
  latents.offsets = Tensor::from(device, {static_cast<int64_t>(offsets.size())}, offsets);
  latents.index = Tensor::from(device, {stored}, index);
  latents.values = Tensor::from(device, {stored}, values);
  latents.cols = autoencoder_.options().latents;
  return latents;
}

double SimulatedLatents::explained_firings() const {
  return firings_ > 0 ? static_cast<double>(firings_explained_) / static_cast<double>(firings_) : 0;
}

}  // namespace sae
