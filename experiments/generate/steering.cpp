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
    Writable rows = std::move(x).into_writable();
    std::copy_n(changed.data<float>(), changed.elements(), rows.data<float>() + kept * changed.cols());
    return std::move(rows).freeze();
  };
  return Intervention{place, replace};
}

}  // namespace sae
