// What does each part of the TopK recipe do? Training without it. (Gao et al., appendix C, Fig. 15 to 18)
#include <fmt/format.h>

#include "engine/error.h"
#include "experiments/ablate_recipe/ablation.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/training_options.h"

namespace {

using namespace sae;

constexpr const char* description =
    R"(Trains one TopK autoencoder by the whole recipe and without its parts, all on the same batches: without AuxK, without
a tied start of the encoder, without both, without b_enc, with decoder rows of any length. Everything else is equal, the
learning rate included.

Writes into --output: ablation.csv, curves.csv, ablation.svg/.png/.gp, and runs/ with every trained autoencoder.

  ablate_recipe --data runs/default/activations --output runs/default/ablation)";

RunPlan recipe_of(const Options& options, const RunContext& context) {
  RunPlan plan;
  plan.model = model_options(options, context.data.train.width(), options.get_integer("latents", 1, 1 << 30),
                             Activation::topk, context.statistics.variance);
  plan.model.k = options.get_integer("k");
  const int64_t tokens =
      options.given("tokens") ? options.get_integer("tokens", 1, int64_t{1} << 50) : context.data.train.rows();
  plan.training = training_options(options, plan.model, tokens, context.statistics.variance);
  plan.training.learning_rate = options.get_number("lr");
  check(plan.model);
  check(plan.training);
  CHECK(plan.model.k_aux > 0, "--k-aux: expected at least 1, got 0: AuxK is a part of the recipe");
  plan.folder = options.get_text("output") + "/runs";
  plan.resume = options.get_flag("resume");
  plan.evaluate_after = {before_last_fifth(plan.training.steps), plan.training.steps};
  plan.options_text = options.effective();
  return plan;
}

int ablate(const Options& options) {
  apply_threads(options);
  const auto device = open_device(options);
  const ActivationData data(options.get_text("data"), data_options(options), *device);
  const RunContext context = make_context(data, static_cast<uint64_t>(options.get_integer("seed")), *device);
  const RunPlan recipe = recipe_of(options, context);
  const std::string output = options.get_text("output");
  prepare_output(output, recipe.resume, options.get_flag("overwrite"));
  options.write_effective(output + "/options.txt");
  fmt::print(stderr, "{}\n{}", data.subject(), data.describe());
  catch_interrupts();
  std::vector<RunPlan> plans;
  for (const Variant& variant : all_variants()) plans.push_back(plan_of(variant, recipe));
  const std::vector<RunResult> results = train_runs(context, plans, "variants");
  std::vector<Ablation> all;
  for (size_t i = 0; i < plans.size(); ++i) {
    all.push_back({all_variants()[i], plans[i], results[i], read_curve(plans[i].folder)});
  }
  write_ablation_csv(output + "/ablation.csv", all);
  write_curves_csv(output + "/curves.csv", all);
  draw_ablation(output + "/ablation",
                fmt::format("{}: {} latents, k = {}", data.subject(), recipe.model.latents, recipe.model.k), all);
  fmt::print("{}{} test rows; {}/ablation.csv and .svg\n", ablation_table(all), data.test.rows(), output);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("ablate_recipe", description);
  options.group("Input and output")
      .text("data", "FOLDER", "activations, as harvest stores them")
      .text("output", "FOLDER", "where the results go")
      .flag("resume", "go on with the runs in --output")
      .flag("overwrite", "replace the results in --output")
      .integer("k", 32, "N", "active latents per row")
      .number("lr", 0.0023, "RATE",
              "learning rate of all variants: the default sweep's 3.2e-3 for 4,096 latents, over sqrt(2)");
  sae::declare_data_options(options);
  sae::declare_training_options(options, {.latents = 8192, .batch_size = 512});
  return sae::run_program(options, argc, argv, [&] { return ablate(options); });
}
