// Normalised MSE versus L0 for each activation, on one store of activations (Gao et al., Fig. 2a).
#include <fmt/format.h>

#include <filesystem>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/training_options.h"
#include "experiments/compare_activations/sweep.h"

namespace {

using namespace sae;

constexpr const char* description =
    "Trains autoencoders of every activation at several sparsities and draws normalised MSE over L0 on test data.\n"
    "Learning rates and penalties are chosen on validation data, with the same number of trials for each activation.\n"
    "Writes into --output: results.csv, mse_versus_l0.svg/.png/.gp, and runs/ with every trained autoencoder.\n"
    "Example: compare_activations --data runs/default/activations --output runs/default/sweep";

int compare(const Options& options) {
  apply_threads(options);
  const auto device = open_device(options);
  const ActivationData data(options.get_text("data"), data_options(options), *device);
  const SweepOptions sweep = sweep_options(options, data);
  prepare_output(sweep.folder, options.get_flag("resume"), options.get_flag("overwrite"));
  options.write_effective(sweep.folder + "/options.txt");
  fmt::print(stderr, "{}\n{}", data.subject(), data.describe());
  catch_interrupts();
  const RunContext context = make_context(data, static_cast<uint64_t>(options.get_integer("seed")), *device);
  std::vector<ResultRow> rows = run_sweep(context, options, sweep);
  const std::vector<ExpectedPoint> expected =
      options.given("expected") ? read_expected(options.get_text("expected")) : std::vector<ExpectedPoint>{};
  // What is expected was made with one seed.
  std::erase_if(rows,
                [&](const ResultRow& row) { return row.seed != static_cast<uint64_t>(options.get_integer("seed")); });
  const Verdict verdict = compare_with_expected(rows, expected);
  write_file(sweep.folder + "/verdict.txt", verdict.table, IfExists::replace);
  const std::string folder = std::filesystem::absolute(sweep.folder).lexically_normal();
  fmt::print(
      "\n{}\nplot          {}/mse_versus_l0.svg (and .png)\nnumbers       {}/results.csv\nautoencoders  "
      "{}/runs/*/autoencoder.safetensors\n",
      verdict.table, folder, folder, folder);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("compare_activations", description);
  options.group("Input and output")
      .text("data", "FOLDER", "activations, as harvest stores them")
      .text("output", "FOLDER", "where the results go")
      .flag("resume", "go on with the sweep in --output; finished runs are not trained again")
      .flag("overwrite", "replace the sweep in --output")
      .text("expected", "FILE", "a table of expected points to compare the result with");
  sae::declare_data_options(options);
  sae::declare_sweep_options(options);
  sae::declare_training_options(options);
  return sae::run_program(options, argc, argv, [&] { return compare(options); });
}
