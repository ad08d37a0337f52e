#include "experiments/encode/latent_rows.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/error.h"
#include "ops/input_normalisation/input_normalisation.h"

namespace sae {

void LatentRows::add(const Tensor& rows, const TokenPlaces& places) {
  const int64_t width = autoencoder_.options().width;
  CHECK(rows.cols() == width, "the autoencoder takes rows of width {}, got {}", width, rows.cols());
  const auto tokens = static_cast<int64_t>(places.ids.size());
  CHECK(tokens == static_cast<int64_t>(places.positions.size()) && (tokens == 0 || tokens == rows.rows()) &&
            (this->rows() == 0 || places_.ids.empty() == places.ids.empty()),
        "{} rows came with {} tokens and {} positions", rows.rows(), tokens, places.positions.size());
  const Tensor here = rows.device().kind() == DeviceKind::cpu ? rows : rows.to(*host_);
  for (int64_t i = 0; i < here.elements(); ++i) {
    CHECK(std::isfinite(here.data<float>()[i]), "row {} holds NaN or infinity", this->rows() + i / width);
  }

  Device& device = autoencoder_.encoder().value().device();
  const NormalisedRows normalised = normalise(here, autoencoder_.options().normalisation);
  const Tensor x = device.kind() == DeviceKind::cpu ? normalised.rows : normalised.rows.to(device);
  const Value computed = encode(autoencoder_, x);
  const Value latents = to_device(computed, *host_);
  const SparseRows sparse = sparse_rows("encode", latents);
  const float* values = stored_values(latents).data<float>();
  for (int64_t row = 0; row < rows.rows(); ++row) {
    const auto begin = static_cast<size_t>(sparse.begin(row)), count = static_cast<size_t>(sparse.end(row)) - begin;
    add_entries({sparse.index + begin, count}, {values + begin, count});
  }
  const auto append = [](std::vector<float>& to, const Tensor& from) {
    to.insert(to.end(), from.data<float>(), from.data<float>() + from.elements());
  };
  append(means_, normalised.mean);
  append(norms_, normalised.norm);
  places_.ids.insert(places_.ids.end(), places.ids.begin(), places.ids.end());
  places_.positions.insert(places_.positions.end(), places.positions.begin(), places.positions.end());
}

void LatentRows::add_entries(std::span<const int32_t> columns, std::span<const float> values) {
  std::vector<size_t> kept;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (values[i] > 0) kept.push_back(i);
  }
  std::sort(kept.begin(), kept.end(), [&](size_t a, size_t b) { return columns[a] < columns[b]; });
  for (const size_t i : kept) {
    index_.push_back(columns[i]);
    values_.push_back(values[i]);
  }
  offsets_.push_back(static_cast<int64_t>(index_.size()));
}

std::vector<std::pair<int32_t, float>> LatentRows::strongest(int64_t row, int64_t count) const {
  CHECK(row >= 0 && row < rows() && count >= 0, "latents of row {} of {} were asked for", row, rows());
  std::vector<int64_t> entries(
      static_cast<size_t>(offsets_[static_cast<size_t>(row) + 1] - offsets_[static_cast<size_t>(row)]));
  std::iota(entries.begin(), entries.end(), offsets_[static_cast<size_t>(row)]);
  std::stable_sort(entries.begin(), entries.end(), [&](int64_t a, int64_t b) {
    return values_[static_cast<size_t>(a)] > values_[static_cast<size_t>(b)];
  });
  entries.resize(std::min(entries.size(), static_cast<size_t>(count)));
  std::vector<std::pair<int32_t, float>> found;
  for (const int64_t entry : entries) {
    found.emplace_back(index_[static_cast<size_t>(entry)], values_[static_cast<size_t>(entry)]);
  }
  return found;
}

void LatentRows::write(const std::string& path, const Metadata& notes, IfExists if_exists) const {
  const auto device = Device::open(DeviceKind::cpu);
  std::vector<NamedTensor> tensors = {{"offsets", Tensor::from(*device, {rows() + 1}, offsets_)},
                                      {"index", Tensor::from(*device, {stored()}, index_)},
                                      {"values", Tensor::from(*device, {stored()}, values_)},
                                      {"input_mean", Tensor::from(*device, {rows()}, means_)},
                                      {"input_norm", Tensor::from(*device, {rows()}, norms_)}};
  if (!places_.ids.empty()) {
    tensors.push_back({"token_ids", Tensor::from(*device, {rows()}, places_.ids)});
    tensors.push_back({"positions", Tensor::from(*device, {rows()}, places_.positions)});
  }
  Metadata metadata = {{"kind", "sae.cpp latents 1"}, {"latents", std::to_string(autoencoder_.options().latents)}};
  metadata.insert(metadata.end(), notes.begin(), notes.end());
  write_safetensors(path, tensors, metadata, if_exists);
}

}  // namespace sae
