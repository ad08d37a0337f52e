#pragma once

#include "experiments/common/options.h"
#include "models/autoencoder/trainer.h"

namespace sae {

/// Defaults that a program may want otherwise.
struct TrainingPresets {
  int64_t latents = 4096;  ///< 0: the program has its own option for them
  int64_t batch_size = 1024;
};

/// The options that programs which train share: --latents, --batch-size, --k-aux, --dead-after,
/// --lr-warmup, --lr-decay, --penalty-warmup, --bandwidth, --threshold-rate, --bias-rate, --resamples, --averaging,
/// --clip-norm,
/// --fired-above, --seed, --threads, --device and those of declare_encoder_precision.
void declare_training_options(Options& options, const TrainingPresets& presets = {});

/// --precision and --fused: how an autoencoder's products are computed.
void declare_encoder_precision(Options& options);
PassOptions encoder_precision(const Options& options);

/// Options of the model but for what differs between runs (k, penalty). data_variance: of the normalised rows, from
/// which jumprelu's bandwidth follows.
AutoencoderOptions model_options(const Options& options, int64_t width, int64_t latents, Activation activation,
                                 double data_variance);

/// Options of training for that many rows in all; the learning rate is the default rule's.
TrainingOptions training_options(const Options& options, const AutoencoderOptions& model, int64_t tokens,
                                 double data_variance);

/// Throws unless `folder` is missing or empty, or resume or overwrite say what to do with it; overwrite empties it of
/// the files a run writes. Creates the folder.
void prepare_output(const std::string& folder, bool resume, bool overwrite);

}  // namespace sae
