#pragma once

#include <optional>
#include <vector>

#include "models/autoencoder/autoencoder_file.h"
#include "models/autoencoder/clamp.h"
#include "models/language_model/language_model.h"

namespace sae {

/// Holds latents at values at a place of the model, at every position but the first, which no autoencoder was trained
/// on. Nothing where there are no clamps: the model runs as without.
std::optional<Intervention> steering(Autoencoder autoencoder, SitePlace place, std::vector<LatentClamp> clamps);

}  // namespace sae
