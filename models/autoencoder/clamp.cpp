#include "models/autoencoder/clamp.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/error.h"
#include "ops/input_normalisation/input_normalisation.h"

namespace sae {
namespace {

template <class T>
bool parse_all(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

/// The value of one latent of a row; 0 where it is not stored.
float latent_of(const SparseRows& pattern, const float* values, int64_t row, int64_t latent) {
  for (int64_t i = pattern.begin(row); i < pattern.end(row); ++i) {
    if (pattern.index[i] == latent) return values[i];
  }
  return 0;
}

}  // namespace

std::vector<LatentClamp> parse_clamps(std::string_view text, const AutoencoderOptions& options) {
  std::vector<LatentClamp> clamps;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    const size_t equals = std::min(item.find('='), item.size());
    LatentClamp clamp;
    CHECK(equals < item.size() && parse_all(item.substr(0, equals), clamp.latent) &&
              parse_all(item.substr(equals + 1), clamp.value) && std::isfinite(clamp.value),
          "clamp '{}': expected LATENT=VALUE, such as 12=0.5", item);
    CHECK(0 <= clamp.latent && clamp.latent < options.latents,
          "clamp '{}': the autoencoder has latents 0 to {}, none of that number", item, options.latents - 1);
    CHECK(std::none_of(clamps.begin(), clamps.end(), [&](const auto& other) { return other.latent == clamp.latent; }),
          "clamp '{}': latent {} is clamped already", item, clamp.latent);
    clamps.push_back(clamp);
    text.remove_prefix(std::min(item.size() + 1, text.size()));
  }
  return clamps;
}

Tensor clamp_latents(const Autoencoder& autoencoder, const std::vector<LatentClamp>& clamps, const Tensor& x) {
  CHECK(x.cols() == autoencoder.options().width, "clamp: rows of width {}, this autoencoder reads width {}", x.cols(),
        autoencoder.options().width);
  if (clamps.empty()) return x;
  const auto host = Device::open(DeviceKind::cpu);
  const NormalisedRows normalised = normalise(x, autoencoder.options().normalisation);
  const Value latents = to_device(encode(autoencoder, normalised.rows), *host);
  const SparseRows pattern = sparse_rows("clamp", latents);
  const float* values = stored_values(latents).data<float>();
  const std::vector<float> norms = normalised.norm.to_vector<float>();
  const int64_t width = x.cols();
  std::vector<float> steered = x.to_vector<float>();
  for (const LatentClamp& clamp : clamps) {
    const std::vector<float> direction =
        autoencoder.decoder().value().slice_rows(clamp.latent, clamp.latent + 1).to_vector<float>();
    for (int64_t row = 0; row < x.rows(); ++row) {
      const float change =
          norms[static_cast<size_t>(row)] * (clamp.value - latent_of(pattern, values, row, clamp.latent));
      if (change == 0) continue;
      float* out = steered.data() + row * width;
      for (int64_t i = 0; i < width; ++i) out[i] += change * direction[static_cast<size_t>(i)];
    }
  }
  return Tensor::from(x.device(), x.shape(), steered);
}

}  // namespace sae
