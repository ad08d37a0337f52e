#include "experiments/train/fine_tuning.h"

#include <memory>
#include <utility>

#include "engine/error.h"
#include "models/interchange/autoencoder_parts.h"

namespace sae {

void begin_with(RunPlan& plan, const LoadedAutoencoder& start, const std::string& path) {
  const AutoencoderOptions &wanted = plan.model, &found = start.autoencoder.options();
  CHECK(found.width == wanted.width, "--init-from {}: reads rows of width {}, the activations have {}", path,
        found.width, wanted.width);
  CHECK(found.activation == wanted.activation, "--init-from {}: its activation is {}; give --activation {}", path,
        name_of(found.activation), name_of(found.activation));
  CHECK(found.latents == wanted.latents, "--init-from {}: it has {} latents, not {}; give --latents {}", path,
        found.latents, wanted.latents, found.latents);
  CHECK(!facts_of(found.activation).chooses_k || found.k == wanted.k,
        "--init-from {}: {} of its latents are active, not {}; give --k {}", path, found.k, wanted.k, found.k);
  CHECK(found.normalisation == wanted.normalisation,
        "--init-from {}: its input normalisation is '{}', that of the run is '{}'", path, name_of(found.normalisation),
        name_of(wanted.normalisation));
  AutoencoderParts parts = take_apart(start);
  try {
    if (facts_of(found.activation).unit_decoder) make_decoder_unit(parts);
  } catch (const Error& error) {
    fail("--init-from {}: {}", path, error.what());
  }
  parts.options = wanted;
  LoadedAutoencoder whole = put_together(parts, start.autoencoder.encoder().value().device());
  plan.start = std::make_shared<const Autoencoder>(std::move(whole.autoencoder));
  plan.start_name = path;
}

}  // namespace sae
