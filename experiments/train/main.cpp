// Trains one autoencoder on harvested activations.
#include <fmt/format.h>

#include <cstdio>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/training_options.h"
#include "experiments/common/training_run.h"
#include "experiments/train/diagnosis.h"
#include "experiments/train/fine_tuning.h"
#include "models/autoencoder/autoencoder_file.h"
#include "models/interchange/formats.h"

namespace {

using namespace sae;

constexpr const char* description =
    "Trains one sparse autoencoder on the activations that `harvest` stored, evaluates it on held-out rows and saves "
    "it.\n"
    "Writes into --output: autoencoder.safetensors (the weights, with all options), metrics.jsonl, result.json, "
    "options.txt.\n"
    "Example: train --data runs/default/activations --output runs/topk32 --activation topk --k 32 --latents 4096";

void declare(Options& options) {
  static const std::string names = activation_names();
  options.group("Input and output")
      .text("data", "FOLDER", "activations, as harvest stores them")
      .text("output", "FOLDER", "where the results go")
      .text("init-from", "PATH",
            "begin with these weights and a fresh optimiser: an autoencoder in any format that convert reads, with the "
            "same activation, k and latents; rows are normalised as it wants them")
      .flag("resume", "go on with the interrupted run in --output")
      .flag("overwrite", "replace the run in --output")
      .text("shuffle", "on", "on|off", "off: rows in stored order, for runs that follow a given order")
      .flag("keep-start", "keep the untrained weights too, as step-0.safetensors")
      .integer("checkpoint-every", 0, "STEPS", "0: every minute; an interrupted run writes one in any case")
      .flag("profile", "print what each operation of one step costs, and stop");
  declare_data_options(options);
  options.group("Activation")
      .text("activation", "topk", names.c_str(), "what turns pre-activations into latents")
      .integer("k", 32, "N", "active latents per row (topk, multi-topk; of the whole batch: batch-topk, matryoshka)")
      .number("penalty", "WEIGHT",
              "weight of the sparsity penalty: L1 (relu, prolu, gated), L0 (jumprelu), KL divergence (sigmoid)")
      .number("l1", "WEIGHT", "the same by its usual name, where the penalty is L1")
      .number("aux-weight", 1.0 / 32, "WEIGHT", "weight of the auxiliary loss on dead latents (where k is chosen)")
      .number("target-rate", 0.05, "MEAN", "what sigmoid's penalty wants each latent's mean to be")
      .number("weight-decay", 0, "WEIGHT", "weight of half the sum of squared weights (sigmoid)")
      .flag("freeze-decoder", "leave the decoder at its random start: a baseline")
      .number("encoder-length", "LENGTH",
              "length of the encoder's rows at the start, along the decoder's; shorter ones turn faster, which short "
              "runs gain by [default: the paper's, at which k latents rebuild unit vectors; 1 / sqrt(3) for penalties]")
      .number("lr", "RATE", "learning rate [default: 2e-4 / sqrt(latents / 2^14), a rule made for batches of 131,072]");
  declare_training_options(options);
}

/// --penalty, or --l1 where that is its name.
double penalty_of(const Options& options, Activation activation) {
  if (!options.given("l1")) return options.get_number("penalty", 0, 1e9);
  CHECK(!options.given("penalty"), "--l1 and --penalty: give one of them, they mean the same");
  CHECK(activation == Activation::relu || activation == Activation::prolu || activation == Activation::prolu_ste ||
            activation == Activation::gated,
        "--l1: {} has no L1 penalty; use --{}", name_of(activation), facts_of(activation).chooses_k ? "k" : "penalty");
  return options.get_number("l1", 0, 1e9);
}

RunPlan make_plan(const Options& options, const RunContext& context) {
  RunPlan plan;
  plan.model = model_options(options, context.data.train.width(), options.get_integer("latents", 1, 1 << 30),
                             parse_activation(options.get_text("activation")), context.statistics.variance);
  plan.model.normalisation = context.statistics.normalisation;
  plan.model.k = options.get_integer("k");
  if (!facts_of(plan.model.activation).chooses_k || options.given("l1")) {
    plan.model.penalty = penalty_of(options, plan.model.activation);
  }
  plan.model.target_rate = options.get_number("target-rate", 0, 1);
  plan.model.weight_decay = options.get_number("weight-decay", 0, 1e9);
  plan.model.aux_weight = options.get_number("aux-weight", 0, 1e9);
  const int64_t tokens =
      options.given("tokens") ? options.get_integer("tokens", 1, int64_t{1} << 50) : context.data.train.rows();
  plan.training = training_options(options, plan.model, tokens, context.statistics.variance);
  if (options.given("lr")) plan.training.learning_rate = options.get_number("lr");
  plan.training.freeze_decoder = options.get_flag("freeze-decoder");
  check(plan.model);
  check(plan.training);
  plan.folder = options.get_text("output");
  plan.label = "train";
  const std::string shuffle = options.get_text("shuffle");
  CHECK(shuffle == "on" || shuffle == "off", "--shuffle: expected on or off, got '{}'", shuffle);
  plan.shuffle = shuffle == "on";
  plan.resume = options.get_flag("resume");
  plan.resamples = options.get_integer("resamples", 0, 1000);
  if (options.given("encoder-length")) plan.encoder_start.length = options.get_number("encoder-length", 1e-6, 1e6);
  plan.evaluate_after = {(plan.training.steps + 1) / 2, before_last_fifth(plan.training.steps), plan.training.steps};
  plan.checkpoint_every = options.get_integer("checkpoint-every", 0, int64_t{1} << 50);
  plan.checkpoint_at_start = options.get_flag("keep-start");
  plan.options_text = options.effective();
  return plan;
}

/// How often each latent would fire within the dead-latent window if all fired alike; below about a hundred, chance
/// alone makes latents look dead.
void print_dead_window(const RunPlan& plan) {
  if (!facts_of(plan.model.activation).chooses_k) return;
  const double expected = static_cast<double>(plan.training.dead_after) * static_cast<double>(plan.model.k) /
                          static_cast<double>(plan.model.latents);
  fmt::print(stderr, "A latent is dead after {} rows; dead_after * k / n = {:.0f}\n", plan.training.dead_after,
             expected);
  if (expected < 100) {
    fmt::print(stderr, "warning: below 100, rare latents will be taken for dead; raise --dead-after or train longer\n");
  }
}

void print_point(const char* split, const Metrics& metrics) {
  fmt::print("{:<11} NMSE {:.4f}  L0 {:.2f}  explained variance {:.4f}  per-row MSE {:.4f}  L1 {:.4f}  dead {:.2f} %\n",
             split, metrics.normalised_mse, metrics.l0, metrics.explained_variance, metrics.per_row_mse, metrics.l1,
             100 * metrics.dead_fraction);
}

int train(const Options& options) {
  apply_threads(options);
  const auto device = open_device(options);
  const ActivationData data(options.get_text("data"), data_options(options), *device);
  fmt::print(stderr, "{}", data.describe());
  std::optional<LoadedAutoencoder> start;
  CHECK(!options.given("init-from") || !options.given("encoder-length"),
        "--encoder-length is of fresh weights; --init-from brings its own");
  if (options.given("init-from")) start = read_autoencoder(options.get_text("init-from"), *device);
  const InputNormalisation how =
      start ? start->autoencoder.options().normalisation : AutoencoderOptions{}.normalisation;
  const RunContext context = make_context(data, static_cast<uint64_t>(options.get_integer("seed")), *device, how);
  RunPlan plan = make_plan(options, context);
  if (start) begin_with(plan, *start, options.get_text("init-from"));
  if (options.get_flag("profile")) {
    Trainer trainer(initial_weights(context, plan), plan.training);
    const auto batches = data.train.batches(plan.training.seed, 0, plan.training.batch_size, plan.shuffle, how);
    for (int step = 0; step < 3; ++step) trainer.step(batches->next().to(*device));  // buffers and caches filled
    fmt::print("{}", trainer.profile(batches->next().to(*device)).to_string());
    return 0;
  }
  prepare_output(plan.folder, plan.resume, options.get_flag("overwrite"));
  options.write_effective(plan.folder + "/options.txt");
  print_dead_window(plan);
  catch_interrupts();
  const RunResult result = train_run(context, plan);
  const RunPoint& last = result.points.back();
  print_point("validation", last.validation);
  if (last.test) print_point("test", *last.test);
  for (const std::string& line :
       diagnosis(plan, result, load_autoencoder(result.autoencoder_file, *device).autoencoder)) {
    fmt::print("{}\n", line);
  }
  fmt::print("{} weights were better on validation data; saved in {}\n", last.averaged ? "averaged" : "raw",
             result.autoencoder_file);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("train", description);
  declare(options);
  return sae::run_program(options, argc, argv, [&] { return train(options); });
}
