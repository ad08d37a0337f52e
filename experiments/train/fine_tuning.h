#pragma once

#include <string>

#include "experiments/common/training_run.h"
#include "models/autoencoder/autoencoder_file.h"

namespace sae {

/// Lets the run begin with the weights of an autoencoder that was read from `path`, of whatever format. Its decoder's
/// rows are brought to length 1 where training keeps them so, which scales latents and leaves reconstructions as they
/// are. Throws, saying what to change, where width, activation, latents, k or input normalisation differ.
void begin_with(RunPlan& plan, const LoadedAutoencoder& start, const std::string& path);

}  // namespace sae
