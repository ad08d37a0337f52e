#include "experiments/generate/steering.h"

#include <algorithm>
#include <memory>

namespace sae {

std::optional<Intervention> steering(Autoencoder autoencoder, SitePlace place, std::vector<LatentClamp> clamps) {
  if (clamps.empty()) return std::nullopt;
  const auto shared = std::make_shared<const Autoencoder>(std::move(autoencoder));
  const auto replace = [shared, clamps = std::move(clamps)](Tensor x, int64_t first_position, int64_t) {
    const int64_t kept = first_position == 0 ? 1 : 0;
    if (x.rows() == kept) return x;
    const Tensor changed = clamp_latents(*shared, clamps, x.slice_rows(kept, x.rows()));
    Device& device = x.device();
    Writable rows = std::move(x).into_writable();
    device.copy(rows.data<float>() + kept * changed.cols(), changed.raw(), static_cast<size_t>(changed.bytes()));
    return std::move(rows).freeze();
  };
  return Intervention{place, replace};
}

}  // namespace sae
