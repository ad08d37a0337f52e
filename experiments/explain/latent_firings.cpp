#include "experiments/explain/latent_firings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/philox.h"
#include "experiments/common/subject.h"
#include "ops/input_normalisation/input_normalisation.h"

namespace sae {

LatentFirings::LatentFirings(const Autoencoder& autoencoder, const ActivationStore& store,
                             const RowSelection& selection, Device& device)
    : rows_(selection.count()), begins_(static_cast<size_t>(autoencoder.options().latents) + 1, 0) {
  constexpr int64_t at_once = 1024;
  const auto host = Device::open(DeviceKind::cpu);
  std::vector<int32_t> latent, row;
  std::vector<float> value;
  for (int64_t begin = 0; begin < rows_; begin += at_once) {
    const int64_t end = std::min(rows_, begin + at_once);
    const Tensor raw = store.gather(selection.rows(begin, end), *host);
    const Tensor rows = normalise(raw, autoencoder.options().normalisation).rows.to(device);
    const Value latents = to_device(encode(autoencoder, rows), *host);
    const SparseRows sparse = sparse_rows("explain", latents);
    const float* values = stored_values(latents).data<float>();
    for (int64_t i = 0; i < end - begin; ++i) {
      for (int64_t entry = sparse.begin(i); entry < sparse.end(i); ++entry) {
        if (!(values[entry] > 0)) continue;
        latent.push_back(sparse.index[entry]);
        row.push_back(static_cast<int32_t>(begin + i));
        value.push_back(values[entry]);
      }
    }
  }
  for (const int32_t l : latent) ++begins_[static_cast<size_t>(l) + 1];
  for (size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
  row_.resize(row.size());
  value_.resize(value.size());
  std::vector<int64_t> next(begins_.begin(), begins_.end() - 1);
  for (size_t i = 0; i < latent.size(); ++i) {
    const auto to = static_cast<size_t>(next[static_cast<size_t>(latent[i])]++);
    row_[to] = row[i];
    value_[to] = value[i];
  }
}

float LatentFirings::maximum(int64_t latent) const {
  const auto values = values_of(latent);
  return values.empty() ? 0.0f : *std::max_element(values.begin(), values.end());
}

std::string fingerprint(const Autoencoder& autoencoder) {
  const AutoencoderOptions& options = autoencoder.options();
  const auto host = Device::open(DeviceKind::cpu);
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a over 32-bit words
  const auto add = [&](uint32_t word) { hash = (hash ^ word) * 0x100000001b3u; };
  add(static_cast<uint32_t>(options.activation));
  add(static_cast<uint32_t>(options.k));
  if (options.normalisation != InputNormalisation::centred_unit_norm) add(static_cast<uint32_t>(options.normalisation));
  for (const Parameter* parameter : autoencoder.parameters()) {
    const Tensor value = parameter->value().to(*host);
    const auto* words = static_cast<const uint32_t*>(value.raw());
    for (int64_t i = 0; i < value.bytes() / 4; ++i) add(words[i]);
  }
  return fmt::format("{:016x}", hash);
}

void check_same_subject(const std::string& autoencoder_file, const LoadedAutoencoder& loaded,
                        const ActivationStore& store) {
  const StoreDescription& description = store.description();
  CHECK(loaded.autoencoder.options().width == description.width,
        "{}: reads rows of width {}, those of {} are of width {}", autoencoder_file, loaded.autoencoder.options().width,
        store.folder(), description.width);
  const auto compare = [&](const char* what, const std::string& stored) {
    const auto note =
        std::find_if(loaded.notes.begin(), loaded.notes.end(), [&](const auto& item) { return item.first == what; });
    CHECK(note == loaded.notes.end() || note->second == stored,
          "{}: was trained on activations of {} '{}', those of {} are of '{}'", autoencoder_file, what,
          note == loaded.notes.end() ? "" : note->second, store.folder(), stored);
  };
  compare("model", description.model);
  compare("layer", std::to_string(description.layer));
  compare("site", description.site);
  compare("context_length", std::to_string(description.context_length));
  compare("beginning", contexts_have_beginning(description) ? "on" : "off");
}

std::vector<int64_t> latents_above(const LatentFirings& firings, double floor, int64_t needed,
                                   const std::string& name) {
  const auto rows_needed = static_cast<int64_t>(std::ceil(static_cast<double>(needed) / floor));
  CHECK(firings.rows() >= rows_needed,
        "{}: has {} rows, in which a latent of density {} fires {:.1f} times; {} are needed: harvest at least {} rows, "
        "or raise --density-floor",
        name, firings.rows(), floor, floor * static_cast<double>(firings.rows()), needed, rows_needed);
  std::vector<int64_t> latents;
  for (int64_t latent = 0; latent < firings.latents(); ++latent) {
    if (firings.density(latent) >= floor) latents.push_back(latent);
  }
  return latents;
}

std::vector<int64_t> sample_latents(const std::vector<int64_t>& latents, int64_t count, uint64_t seed) {
  enum : uint64_t { sample_stream = 31 };
  if (count >= static_cast<int64_t>(latents.size())) return latents;
  const Permutation order(latents.size(), seed, sample_stream);
  std::vector<int64_t> sample;
  for (int64_t i = 0; i < count; ++i) sample.push_back(latents[order(static_cast<uint64_t>(i))]);
  std::sort(sample.begin(), sample.end());
  return sample;
}

}  // namespace sae
