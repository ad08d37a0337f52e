// How much do active latents fall short of what the decoder could use? (Gao et al., 5.1 and Fig. 9)
#include <fmt/format.h>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/subject.h"
#include "experiments/common/training_options.h"
#include "experiments/refine_activations/shrinkage.h"

namespace {

using namespace sae;

constexpr const char* description =
    R"(Keeps which latents are active and the decoder as they are, and lets the values of the active latents minimise the
error (>= 0, projected gradient descent). An L1 penalty makes a ReLU autoencoder's values too small: refined they rise
and the error falls. TopK has no such penalty.

Writes into --output: refined.csv, with histograms of the change, and refined.svg/.png/.gp.

  refine_activations runs/default/sweep --data runs/default/activations --output runs/default/refined)";

int refine_all(const Options& options) {
  apply_threads(options);
  const std::vector<std::string> paths = find_autoencoders(options.get_texts("sae"));
  CHECK(!paths.empty(), "name autoencoders, such as the folder of a sweep (see --help)");
  const auto device = open_device(options);
  const ActivationData data(options.get_text("data"), data_options(options), *device);
  const int64_t asked = options.get_integer("rows", 0, INT64_MAX);
  const int64_t rows = asked == 0 ? data.test.rows() : std::min(asked, data.test.rows());
  CHECK(rows > 0, "{}: the test split has no rows", data.folder);
  std::vector<LoadedAutoencoder> loaded;  // all before the output folder is made, as any may be refused
  for (const std::string& path : paths) {
    loaded.push_back(load_autoencoder(path, data.test));
    CHECK(loaded.back().autoencoder.options().activation != Activation::sigmoid,
          "{}: all latents of sigmoid are active, so there is no choice to keep", path);
  }
  const std::string output = options.get_text("output");
  prepare_output(output, false, options.get_flag("overwrite"));
  options.write_effective(output + "/options.txt");
  fmt::print(stderr, "{}\n{}", data.subject(), data.describe());
  std::optional<DataStatistics> statistics;
  std::vector<Shrinkage> all;
  for (size_t i = 0; i < paths.size(); ++i) {
    const Autoencoder& autoencoder = loaded[i].autoencoder;
    const InputNormalisation how = autoencoder.options().normalisation;
    if (!statistics || statistics->normalisation != how) statistics = data_statistics(data.train, how);
    all.push_back(measure_shrinkage(autoencoder_name(paths[i]), autoencoder, data.test, rows, *statistics));
    fmt::print(stderr, "{}: NMSE {:.4f}, refined {:.4f}\n", all.back().name, all.back().before.normalised_mse,
               all.back().after.normalised_mse);
  }
  write_shrinkage_csv(output + "/refined.csv", all);
  draw_shrinkage(output + "/refined", data.subject(), all);
  fmt::print("{}{} test rows; {}/refined.csv and .svg\n", shrinkage_table(all), rows, output);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("refine_activations", description);
  options.positional("sae", "autoencoders: files, folders of runs, or a folder of compare_activations, trials left out")
      .text("data", "FOLDER", "activations, as harvest stores them")
      .integer("rows", 0, "N", "of the test split, in stored order; 0: all")
      .text("output", "FOLDER", "where the results go")
      .flag("overwrite", "replace the results in --output")
      .integer("threads", 0, "N", "processor threads; 0: all");
  sae::declare_data_options(options);
  sae::declare_device(options);
  return sae::run_program(options, argc, argv, [&] { return refine_all(options); });
}
