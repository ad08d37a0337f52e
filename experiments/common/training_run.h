#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/common/activation_data.h"
#include "models/autoencoder/metrics.h"
#include "models/autoencoder/trainer.h"

namespace sae {

/// One training run and where its files go.
struct RunPlan {
  AutoencoderOptions model;
  TrainingOptions training;
  std::string folder;
  std::string label;  ///< for the screen
  bool shuffle = true;
  bool resume = false;                  ///< go on from the folder's checkpoint if there is one
  std::vector<int64_t> evaluate_after;  ///< steps, ascending; the last one is the end of the run
  bool test = true;                     ///< evaluate on the test split too (a trial must not)
  int64_t checkpoint_every = 0;         ///< steps; 0: after every minute
  bool checkpoint_at_start = false;     ///< keep step 0 as step-0.safetensors
  EncoderStart encoder_start;
  int64_t resamples = 4;  ///< how often dead latents are resampled, evenly over the first half (Activation::resampled)
  int64_t log_every = 0;  ///< steps between lines of metrics.jsonl; 0: a hundredth of the run
  std::string options_text;  ///< the effective options, kept with the autoencoder
  std::shared_ptr<const Autoencoder>
      start;               ///< weights to begin with, in place of fresh ones; of the same options as `model`
  std::string start_name;  ///< where they came from, kept with the autoencoder
};

/// The run at one of its evaluation points. The better of raw and averaged weights on validation data was used.
struct RunPoint {
  int64_t step = 0;
  int64_t tokens = 0;
  bool averaged = false;
  Metrics validation;
  std::optional<Metrics> test;
  double seconds = 0;  ///< of training so far, without evaluation
};

struct RunResult {
  std::vector<RunPoint> points;
  std::string autoencoder_file;         ///< folder/autoencoder.safetensors
  std::optional<std::string> diverged;  ///< why, where a value of the run stopped being finite; then there is no file
};

/// The step after which a run has its last fifth to go; a run is judged by what still changes from there.
int64_t before_last_fifth(int64_t steps);
/// The relative change of NMSE or L0, whichever is larger, between the last two evaluations, on validation data.
double movement(const RunResult& result);
/// A run that changes by more than this in its last fifth is still moving.
constexpr double still_moving = 0.05;

/// What is the same for all runs on one store.
struct RunContext {
  const ActivationData& data;
  DataStatistics statistics;
  Tensor pre_bias;
  Device& device;
};
RunContext make_context(const ActivationData& data, uint64_t seed, Device& device,
                        InputNormalisation how = InputNormalisation::centred_unit_norm);

/// The weights that a run begins with, fresh ones or a copy of plan.start: the optimiser writes into them.
Autoencoder initial_weights(const RunContext& context, const RunPlan& plan);

/// Trains, evaluates, and writes into the folder: metrics.jsonl (a line an interval), checkpoint.safetensors while the
/// run goes on, autoencoder.safetensors and result.json at the end. A folder with the result of the same plan is not
/// trained again where plan.resume is set. Throws where the folder holds another run.
/// Throws NotFinite where the run diverges.
RunResult train_run(const RunContext& context, const RunPlan& plan);

/// The same for several runs on one stream of batches: each batch is read, filtered and normalised once. The plans must
/// agree in seed, batch size, steps and shuffling. A run gets the same bits as by itself; one that diverges does not
/// stop the others. `label` is for the screen.
std::vector<RunResult> train_runs(const RunContext& context, std::span<const RunPlan> plans, const std::string& label);

/// Metrics of an autoencoder on a split, rows in stored order. The encoder is packed once.
Metrics evaluate(const Autoencoder& autoencoder, const SplitRows& rows, const DataStatistics& statistics,
                 PassOptions how = {});

/// The metrics as JSON members of `object`.
void put_metrics(Json& object, const Metrics& metrics);

}  // namespace sae
