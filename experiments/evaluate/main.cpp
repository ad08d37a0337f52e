// All metrics of a saved autoencoder on a store.
#include <fmt/format.h>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/model_option.h"
#include "experiments/common/subject.h"
#include "experiments/common/training_options.h"
#include "experiments/common/training_run.h"

namespace {

using namespace sae;

constexpr const char* description =
    "Prints every metric of a saved autoencoder on held-out activations as one JSON object.\n"
    "Example: evaluate --sae runs/topk32/autoencoder.safetensors --data runs/default/activations --split test";

int evaluate_saved(const Options& options) {
  apply_threads(options);
  const auto device = open_device(options);
  const ActivationData data(options.get_text("data"), data_options(options), *device);
  const std::string split = options.get_text("split");
  CHECK(split == "train" || split == "validation" || split == "test",
        "--split: expected train, validation or test, got '{}'", split);
  const SplitRows& rows = split == "train" ? data.train : split == "validation" ? data.validation : data.test;
  const LoadedAutoencoder loaded = load_autoencoder(options.get_text("sae"), rows);
  const AutoencoderOptions& model = loaded.autoencoder.options();
  EncodeCounts counts;
  PassOptions how = encoder_precision(options);
  how.encode_counts = &counts;
  const Metrics metrics = evaluate(loaded.autoencoder, rows, data_statistics(data.train, model.normalisation), how);
  Json json = Json::object();
  json.set("sae", options.get_text("sae")).set("data", data.folder).set("split", split);
  json.set("activation", name_of(model.activation))
      .set("latents", model.latents)
      .set("k", model.k)
      .set("penalty", model.penalty);
  put_metrics(json, metrics);
  // Of topk with exact scoring: rows whose candidates were too many, and the scores computed again for each other row.
  if (counts.rows > 0) json.set("whole_rows", counts.exact_rows).set("rescored_per_row", counts.rescored_per_row());
  fmt::print("{}\n", json.dump(2));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("evaluate", description);
  options.text("sae", "FILE", "the autoencoder, as train saves it")
      .text("data", "FOLDER", "activations, as harvest stores them")
      .text("split", "test", "train|validation|test", "on which rows")
      .integer("threads", 0, "N", "processor threads; 0: all");
  sae::declare_device(options);
  sae::declare_encoder_precision(options);
  sae::declare_data_options(options);
  return sae::run_program(options, argc, argv, [&] { return evaluate_saved(options); });
}
