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
    "With several --latents it also draws the error over them at each sparsity, mse_versus_latents.svg.\n"
    "Example: compare_activations --data runs/default/activations --output runs/default/sweep\n"
    "         compare_activations --data runs/default/activations --output runs/sizes --target-l0 32 --latents "
    "1024,4096";

/// Holds a sweep of one size against what is expected, and says where everything is.
int report(const Options& options, const SweepOptions& sweep, std::vector<ResultRow> rows, const std::string& shown) {
  const std::vector<ExpectedPoint> expected =
      options.given("expected") ? read_expected(options.get_text("expected")) : std::vector<ExpectedPoint>{};
  // What is expected was made with one seed.
  std::erase_if(rows,
                [&](const ResultRow& row) { return row.seed != static_cast<uint64_t>(options.get_integer("seed")); });
  const Verdict verdict = compare_with_expected(rows, expected);
  write_file(sweep.folder + "/verdict.txt", verdict.table, IfExists::replace);
  fmt::print(
      "\n{}\nplot          {}/mse_versus_l0.svg (and .png)\nnumbers       {}/results.csv\nautoencoders  "
      "{}/runs/*/autoencoder.safetensors\n",
      verdict.table, shown, shown, shown);
  return 0;
}

int compare(const Options& options) {
  apply_threads(options);
  const auto device = open_device(options);
  const ActivationData data(options.get_text("data"), data_options(options), *device);
  const std::string folder = options.get_text("output");
  const std::vector<int64_t> sizes = sizes_of(options);
  const bool one_size = sizes.size() == 1;
  CHECK(one_size || !options.given("expected"), "--expected is of one number of latents, --latents gives {}",
        sizes.size());
  std::vector<SweepOptions> sweeps;
  for (const int64_t latents : sizes) {
    sweeps.push_back(sweep_options(options, data, latents));
    if (one_size) continue;
    sweeps.back().folder = fmt::format("{}/n{}", folder, latents);
    sweeps.back().size_in_names = fmt::format("-n{}", latents);
  }
  prepare_output(folder, options.get_flag("resume"), options.get_flag("overwrite"));
  options.write_effective(folder + "/options.txt");
  fmt::print(stderr, "{}\n{}", data.subject(), data.describe());
  catch_interrupts();
  const RunContext context = make_context(data, static_cast<uint64_t>(options.get_integer("seed")), *device);
  std::vector<ResultRow> rows;
  for (const SweepOptions& sweep : sweeps) {
    if (!one_size) fmt::print(stderr, "\n{} latents\n", sweep.latents);
    std::filesystem::create_directories(sweep.folder);
    for (ResultRow& row : run_sweep(context, options, sweep)) {
      if (!one_size && !row.run.empty()) row.run = fmt::format("n{}/{}", sweep.latents, row.run);
      rows.push_back(std::move(row));
    }
  }
  const std::string shown = std::filesystem::absolute(folder).lexically_normal();
  if (one_size) return report(options, sweeps[0], std::move(rows), shown);
  write_results_csv(folder + "/results.csv", rows);
  draw_scaling(folder + "/mse_versus_latents", data.subject(), rows);
  fmt::print(
      "\nplot          {0}/mse_versus_latents.svg (and .png); of each size {0}/n*/mse_versus_l0.svg\n"
      "numbers       {0}/results.csv\nautoencoders  {0}/n*/runs/*/autoencoder.safetensors\n",
      shown);
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
  sae::declare_training_options(options, {.latents = 0});
  return sae::run_program(options, argc, argv, [&] { return compare(options); });
}
