#include "experiments/common/training_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "engine/error.h"
#include "experiments/common/device_option.h"

namespace sae {

void declare_training_options(Options& options, const TrainingPresets& presets) {
  options.group("Model");
  if (presets.latents > 0) options.integer("latents", presets.latents, "N", "latents of the autoencoder");
  options
      .integer("k-aux", "N",
               "dead latents that model the error (AuxK, where k is chosen); 0 switches it off "
               "[default: the power of two nearest to half the width]")
      .number("bandwidth", 0.5, "MULTIPLE",
              "width of the kernel around jumprelu's thresholds, over the spread of the pre-activations at the start")
      .group("Training")
      .integer("batch-size", presets.batch_size, "N", "rows in a step")
      .integer("tokens", "N",
               "rows to train on in all; more than the store holds means further passes [default: one pass]")
      .integer("seed", 0, "N", "seed of the initialisation and of the order of the rows")
      .number("lr-warmup", 0, "PART", "part of the run over which the learning rate rises from 0")
      .number("lr-decay", 0.2, "PART", "part of the run over which it falls to 0 at the end")
      .number("penalty-warmup", 0.05, "PART", "part of the run over which the sparsity penalty rises from 0")
      .number("threshold-rate", 10, "MULTIPLE", "learning rate of jumprelu's log thresholds, over that of the weights")
      .number("bias-rate", "MULTIPLE",
              "learning rate of the biases, over that of the weights [default: 0.2 for prolu and prolu-ste, whose "
              "encoder bias is a threshold; 1 for all others]")
      .integer("resamples", 4, "N",
               "times at which dead latents are resampled, in the first half of the run (relu, prolu, gated)")
      .integer("dead-after", "N",
               "rows without firing after which a latent is dead [default: 10 million, or a tenth of the run if less]")
      .number("fired-above", 0, "VALUE", "a latent fires where its value is above this (the authors' code: 1e-3)")
      .text("averaging", "on", "on|off", "keep a moving average of the weights; the better on validation data is saved")
      .number("clip-norm", 0, "NORM", "largest norm of the whole gradient; 0: no clipping")
      .integer("threads", 0, "N", "processor threads; 0: all");
  declare_device(options);
  declare_encoder_precision(options);
}

void declare_encoder_precision(Options& options) {
  options
      .text("precision", "exact", "exact|bf16|fp32",
            "exact: products in bfloat16 where the processor has them, but the latents that topk chooses and their "
            "values are float32's; bf16: these too by bfloat16; fp32: all products in float32")
      .text("fused", "on", "on|off", "off: the plain compositions that the fused operations are checked against");
}

PassOptions encoder_precision(const Options& options) {
  PassOptions how;
  const std::string precision = options.get_text("precision"), fused = options.get_text("fused");
  CHECK(precision == "exact" || precision == "bf16" || precision == "fp32",
        "--precision: expected exact, bf16 or fp32, got '{}'", precision);
  CHECK(fused == "on" || fused == "off", "--fused: expected on or off, got '{}'", fused);
  how.precision = precision == "fp32" ? Precision::f32 : Precision::bf16;
  how.scoring = precision == "fp32" ? Scoring::f32 : precision == "bf16" ? Scoring::bf16 : Scoring::exact;
  how.fused = fused == "on";
  return how;
}

AutoencoderOptions model_options(const Options& options, int64_t width, int64_t latents, Activation activation,
                                 double data_variance) {
  AutoencoderOptions model;
  model.width = width;
  model.latents = latents;
  model.activation = activation;
  // At the start encoder rows have random directions and length 1 / sqrt(3): the spread of E (x - b_pre).
  const double spread = std::sqrt(data_variance / 3);
  if (activation == Activation::jump_relu) model.bandwidth = options.get_number("bandwidth", 1e-6, 1e6) * spread;
  if (facts_of(activation).chooses_k) {
    model.k_aux =
        options.given("k-aux") ? options.get_integer("k-aux", 0, model.latents) : default_k_aux(width, model.latents);
  }
  return model;
}

TrainingOptions training_options(const Options& options, const AutoencoderOptions& model, int64_t tokens,
                                 double data_variance) {
  TrainingOptions training;
  training.learning_rate = default_learning_rate(model.latents);
  training.batch_size = options.get_integer("batch-size", 1, 1 << 24);
  training.steps = tokens / training.batch_size;
  CHECK(training.steps >= 1, "--tokens {} is less than one batch of {}", tokens, training.batch_size);
  training.lr_warmup = options.get_number("lr-warmup", 0, 1);
  training.lr_decay = options.get_number("lr-decay", 0, 1);
  training.penalty_warmup = options.get_number("penalty-warmup", 0, 1);
  training.threshold_rate = options.get_number("threshold-rate", 1e-6, 1e6);
  training.bias_rate = options.given("bias-rate")                     ? options.get_number("bias-rate", 1e-6, 1e6)
                       : facts_of(model.activation).bias_is_threshold ? 0.2
                                                                      : 1.0;
  training.dead_after = options.given("dead-after") ? options.get_integer("dead-after", 1, int64_t{1} << 60)
                                                    : std::max<int64_t>(1, std::min<int64_t>(10'000'000, tokens / 10));
  training.fired_above = options.get_number("fired-above", 0, 1e9);
  const std::string averaging = options.get_text("averaging");
  CHECK(averaging == "on" || averaging == "off", "--averaging: expected on or off, got '{}'", averaging);
  training.averaging = averaging == "on";
  training.clip_norm = options.get_number("clip-norm", 0, 1e30);
  training.seed = static_cast<uint64_t>(options.get_integer("seed", 0, int64_t{1} << 62));
  const PassOptions how = encoder_precision(options);
  training.precision = how.precision;
  training.scoring = how.scoring;
  training.fused = how.fused;
  training.mse_scale = 1.0 / data_variance;
  return training;
}

void prepare_output(const std::string& folder, bool resume, bool overwrite) {
  namespace fs = std::filesystem;
  CHECK(!(resume && overwrite), "give --resume or --overwrite, not both");
  if (overwrite && fs::exists(folder + "/options.txt")) {
    // Only a folder that a run of ours made is emptied.
    for (const auto& entry : fs::directory_iterator(folder)) fs::remove_all(entry.path());
  }
  CHECK(!fs::exists(folder) || fs::is_directory(folder), "{}: is a file, expected a folder", folder);
  CHECK(!fs::exists(folder) || fs::is_empty(folder) || resume,
        "{}: is not empty; go on with the run in it by --resume, replace that run by --overwrite, or give another "
        "--output",
        folder);
  fs::create_directories(folder);
}

}  // namespace sae
