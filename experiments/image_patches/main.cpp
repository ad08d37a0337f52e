// What does a sparse autoencoder learn of photographs? Ng's experiment (CS294A), and TopK beside it.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/training_options.h"
#include "experiments/image_patches/patch_stores.h"
#include "experiments/image_patches/results.h"
#include "models/autoencoder/autoencoder_file.h"

namespace {

using namespace sae;

constexpr const char* description =
    R"(Trains two autoencoders on small patches of photographs and draws what each latent looks for: the classical one of
Ng's CS294A lecture notes (sigmoid latents, a penalty on their mean activation) and TopK, with as many latents and the
same patches. Both should find edges, each at its own place, angle and width, as cells of the visual cortex do.

Patches are cut at random places, their mean is removed, and ZCA whitening makes all directions equally strong. The
classical autoencoder minimises, as in the notes but with a linear decoder,
  J = mean of |x_hat - x|^2 / 2 + lambda / 2 (sum of squared weights) + beta (sum over latents of KL(rate || mean)).

Writes into --output: filters.png (the figure), patches.csv (both autoencoders), filters.csv (every filter),
runs/ (the autoencoders), and patches/: the whitened patches, on which `train` and `compare_activations` work too
(with --data OUTPUT/patches).

  experiments/fetch.sh --photographs && image_patches --output runs/patches)";

void declare(Options& options) {
  options.group("Input and output")
      .text("images", "FOLDER", "photographs, .jpg or .jpeg; without it, those that experiments/fetch.sh fetched")
      .text("output", "FOLDER", "where the results go")
      .flag("resume", "go on with the run in --output")
      .flag("overwrite", "replace the results in --output")
      .flag("quick", "a tenth of the training: does everything work here?")
      .group("Patches")
      .integer("shorter-side", 800, "PIXELS", "photographs are shrunk to about this, by eighths")
      .integer("patch", 12, "PIXELS", "side of a patch")
      .integer("patches", 100'000, "N", "for training; a tenth as many each for validation and test")
      .number("epsilon", 1, "PART", "tempers the whitening where there is little variance; over the mean eigenvalue")
      .group("The classical autoencoder")
      .number("rate", 0.015, "RATE", "the mean activation that its penalty wants of each latent")
      .number("beta", 5, "WEIGHT", "of that penalty, in J")
      .number("lambda", 5e-3, "WEIGHT", "of the weights' decay, in J")
      .number("lr-sigmoid", 5e-3, "RATE", "its learning rate")
      .group("TopK")
      .integer("k", 10, "N", "active latents of a patch")
      .number("lr-topk", 1e-3, "RATE", "its learning rate");
  declare_training_options(options, {.latents = 196, .batch_size = 500});
}

PatchStoreOptions store_options(const Options& options) {
  PatchStoreOptions store;
  store.images = options.given("images") ? options.get_text("images") : fetched_path("photographs");
  CHECK(options.given("images") || std::filesystem::is_directory(store.images),
        "no photographs at '{}': run 'experiments/fetch.sh --photographs', or name a folder of yours with --images",
        store.images);
  store.shorter_side = options.get_integer("shorter-side", 16, 1 << 16);
  store.patch_side = options.get_integer("patch", 4, 64);
  store.training_patches = options.get_integer("patches", 100, 100'000'000);
  store.held_out_patches = std::max<int64_t>(100, store.training_patches / 10);
  store.epsilon = options.get_number("epsilon", 0, 1e6);
  store.seed = static_cast<uint64_t>(options.get_integer("seed", 0, int64_t{1} << 62));
  return store;
}

/// The two runs, on one stream of batches.
std::vector<RunPlan> plans_of(const Options& options, const RunContext& context) {
  const int64_t width = context.data.train.width();
  const double variance = context.statistics.variance;
  int64_t rows = options.given("tokens") ? options.get_integer("tokens", 1, int64_t{1} << 50) : 5'000'000;
  if (options.get_flag("quick") && !options.given("tokens")) rows /= 10;
  std::vector<RunPlan> plans;
  for (const Activation activation : {Activation::sigmoid, Activation::topk}) {
    RunPlan plan;
    plan.model = model_options(options, width, options.get_integer("latents", 1, 1 << 20), activation, variance);
    plan.model.normalisation = context.statistics.normalisation;
    if (activation == Activation::sigmoid) {
      // J's error is half a sum over the width, ours a mean over the data's variance.
      const double unit = 2 / (variance * static_cast<double>(width));
      plan.model.target_rate = options.get_number("rate", 1e-6, 0.999);
      plan.model.penalty = options.get_number("beta", 0, 1e9) * unit;
      plan.model.weight_decay = options.get_number("lambda", 0, 1e9) * unit;
    } else {
      plan.model.k = options.get_integer("k", 1, plan.model.latents);
    }
    plan.training = training_options(options, plan.model, rows, variance);
    plan.training.learning_rate =
        options.get_number(activation == Activation::sigmoid ? "lr-sigmoid" : "lr-topk", 1e-12, 1e3);
    check(plan.model);
    check(plan.training);
    plan.label = name_of(activation);
    plan.folder = options.get_text("output") + "/runs/" + plan.label;
    plan.resume = options.get_flag("resume");
    plan.evaluate_after = {before_last_fifth(plan.training.steps), plan.training.steps};
    plan.options_text = options.effective();
    plans.push_back(std::move(plan));
  }
  return plans;
}

Panel panel_of(const TrainedOnPatches& one, int64_t side, const std::string& about) {
  const auto columns = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(one.model.latents))));
  return {fmt::format("{}; NMSE {:.3f}, {:.0f} % edges", about, one.end->test->normalised_mse, 100 * one.summary.edges),
          tiles(one.filters, side, std::min<int64_t>(columns, 20))};
}

int run(const Options& options) {
  apply_threads(options);
  const auto device = open_device(options);
  const PatchStoreOptions store = store_options(options);
  const std::string output = options.get_text("output");
  prepare_output(output, options.get_flag("resume"), options.get_flag("overwrite"));
  options.write_effective(output + "/options.txt");
  catch_interrupts();
  write_patch_stores(output + "/patches", store, options.get_flag("resume"));

  const ActivationData data(output + "/patches", RowFilter{}, *device);
  // Whitened rows stay as they are: how strong an edge is, is part of a patch.
  const RunContext context = make_context(data, store.seed, *device, InputNormalisation::none);
  const std::vector<RunPlan> plans = plans_of(options, context);
  const std::vector<RunResult> results = train_runs(context, plans, "sigmoid and topk");

  std::vector<TrainedOnPatches> all;
  for (size_t i = 0; i < plans.size(); ++i) {
    CHECK(!results[i].diverged, "{} diverged: {}; lower --lr-{}", plans[i].label, *results[i].diverged, plans[i].label);
    const LoadedAutoencoder trained = load_autoencoder(results[i].autoencoder_file, *device);
    all.push_back(measured(plans[i].label, trained.autoencoder, store.patch_side));
    all.back().end = results[i].points.back();
    all.back().learning_rate = plans[i].training.learning_rate;
  }
  all.push_back(measured("untrained", initial_weights(context, plans[1]), store.patch_side));

  const TrainedOnPatches &classic = all[0], &topk = all[1];
  draw_panels(output + "/filters",
              std::vector<Panel>{
                  {"whitened patches",
                   tiles(data.test.host_range(0, std::min<int64_t>(196, data.test.rows()), InputNormalisation::none)
                             .to_vector<float>(),
                         store.patch_side, 14)},
                  panel_of(classic, store.patch_side, fmt::format("sigmoid, rate {:g}", classic.model.target_rate)),
                  panel_of(topk, store.patch_side, fmt::format("TopK, k = {}", topk.model.k))});
  write_patch_results(output, all);
  fmt::print("{}{} test patches; {}/filters.png, patches.csv and filters.csv\n", patch_table(all), data.test.rows(),
             output);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("image_patches", description);
  declare(options);
  return sae::run_program(options, argc, argv, [&] { return run(options); });
}
