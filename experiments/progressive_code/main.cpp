// How good is a trained autoencoder with fewer or more active latents than it was trained for? (Gao et al., 5.3, Fig.
// 10)
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/model_option.h"
#include "experiments/common/subject.h"
#include "experiments/common/training_options.h"
#include "experiments/progressive_code/progression.h"
#include "models/autoencoder/test_activation.h"

namespace {

using namespace sae;

constexpr const char* description =
    R"(Replaces the activation of trained autoencoders when they are used, and measures the error of their reconstructions
on held-out activations: TopK(k) keeps the k largest latents of each row, JumpReLU all above one threshold. A code is
progressive where more latents always lower the error. Thresholds are quantiles of the pre-activations of validation
rows. prolu, gated and sigmoid have no such pre-activations and are refused.

Writes into --output: progressive.csv, and progressive.svg/.png/.gp.

  progressive_code runs/default/sweep runs/multi-topk --data runs/default/activations --output runs/default/progressive)";

std::vector<int64_t> targets_of(const Options& options) {
  std::vector<int64_t> targets = options.get_integers("l0");
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  CHECK(!targets.empty() && targets.front() >= 1, "--l0: expected numbers of active latents from 1, got '{}'",
        options.get_text("l0"));
  return targets;
}

int measure_all(const Options& options) {
  apply_threads(options);
  const std::vector<std::string> paths = find_autoencoders(options.get_texts("sae"));
  CHECK(!paths.empty(), "name autoencoders, such as the folder of a sweep (see --help)");
  const std::vector<int64_t> targets = targets_of(options);
  const auto device = open_device(options);
  const ActivationData data(options.get_text("data"), data_options(options), *device);
  CHECK(data.validation.rows() > 0, "{}: the validation split has no rows", data.folder);
  std::vector<LoadedAutoencoder> loaded;  // all before the output folder is made, as any may be refused
  for (const std::string& path : paths) {
    loaded.push_back(load_autoencoder(path, data.test));
    const int64_t latents = loaded.back().autoencoder.options().latents;
    CHECK(targets.back() <= latents, "--l0: {} has {} latents, {} cannot be active", path, latents, targets.back());
    with_topk(loaded.back().autoencoder, targets.back());  // refuses other pre-activations
  }
  const std::string output = options.get_text("output");
  prepare_output(output, false, options.get_flag("overwrite"));
  options.write_effective(output + "/options.txt");
  fmt::print(stderr, "{}\n{}", data.subject(), data.describe());
  std::optional<DataStatistics> statistics;
  Tensor sample;
  const int64_t sampled = std::min(data.validation.rows(), options.get_integer("threshold-rows", 1, 1 << 24));
  std::vector<Progression> all;
  for (size_t i = 0; i < paths.size(); ++i) {
    const Autoencoder& autoencoder = loaded[i].autoencoder;
    const InputNormalisation how = autoencoder.options().normalisation;
    if (!statistics || statistics->normalisation != how) {
      statistics = data_statistics(data.train, how);
      sample = data.validation.batches(0, 0, sampled, true, how)->next().to(*device);
    }
    all.push_back(
        measure_progression(autoencoder_name(paths[i]), autoencoder, data.test, *statistics, sample, targets));
    fmt::print(stderr, "{} of {}: {}\n", all.size(), paths.size(), all.back().name);
  }
  write_progression_csv(output + "/progressive.csv", all);
  draw_progression(output + "/progressive", data.subject(), all);
  fmt::print("{}{} test rows; {}/progressive.csv and .svg\n", progression_table(all, targets), data.test.rows(),
             output);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("progressive_code", description);
  options.positional("sae", "autoencoders: files, folders of runs, or a folder of compare_activations, trials left out")
      .text("data", "FOLDER", "activations, as harvest stores them")
      .text("l0", "4,8,16,32,64,128,256,512", "N,N", "k of TopK, and the mean L0 that thresholds aim at")
      .integer("threshold-rows", 8192, "N", "random validation rows from which thresholds are taken, at most")
      .text("output", "FOLDER", "where the results go")
      .flag("overwrite", "replace the results in --output")
      .integer("threads", 0, "N", "processor threads; 0: all");
  sae::declare_data_options(options);
  sae::declare_device(options);
  return sae::run_program(options, argc, argv, [&] { return measure_all(options); });
}
