#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/autoencoder/autoencoder.h"
#include "ops/adam/adam.h"
#include "ops/weight_averaging/weight_averaging.h"

namespace sae {

/// The learning rate the paper found to converge at every size: 2e-4 / sqrt(latents / 2^14). A rule made for batches of
/// 131,072 rows (Gao et al., appendix A): small batches want it tuned.
double default_learning_rate(int64_t latents);

/// The decay of the weights' moving average for a run of that many steps: min(0.999, 1 - 50 / steps), at least 0, so
/// that a short run does not average in its beginning.
double default_averaging_decay(int64_t steps);

struct TrainingOptions {
  double learning_rate = 0;
  int64_t batch_size = 1024;  ///< rows
  int64_t steps = 0;
  double lr_warmup = 0;         ///< part of the steps over which the learning rate rises from 0
  double lr_decay = 0;          ///< part of the steps over which it falls to 0 at the end
  double penalty_warmup = 0;    ///< part of the steps over which the sparsity penalty rises from 0
  double threshold_rate = 10;   ///< jump_relu's log thresholds learn this many times as fast as the weights
  double bias_rate = 1;         ///< b_enc and b_pre learn this many times as fast as the weights
  bool freeze_decoder = false;  ///< leave the decoder's random start as it is: a baseline for what learning it gives
  bool freeze_encoder_bias = false;  ///< leave b_enc at 0: the paper's eq. 2 has none
  bool free_decoder_norm = false;    ///< let decoder rows have any length: an ablation
  int64_t dead_after = 0;            ///< rows without firing after which a latent is dead
  double fired_above = 0;            ///< a latent fires where its value is above this (the authors' code: 1e-3)
  bool averaging = true;             ///< keep a moving average of the weights
  double clip_norm = 0;              ///< largest global norm of the gradient; 0: no clipping
  double mse_scale = 1;              ///< 1 / variance of the data (Gao et al.)
  uint64_t seed = 0;
  Precision precision = Precision::f32;  ///< of dense products
  Scoring scoring = Scoring::exact;      ///< of the latents among which topk chooses
  bool fused = true;                     ///< fused ops in place of their plain compositions
  int64_t dead_capacity = -1;  ///< dead latents for which steps that run ahead have room; -1: by how many there are
};

/// Throws, naming the option, on what cannot be trained with.
void check(const TrainingOptions& options);

/// What one step saw, before its update.
struct StepReport {
  double normalised_mse = 0;
  double penalty = 0;         ///< the sparsity penalty without its weight
  double auxiliary_loss = 0;  ///< without its weight; AuxK's is 0 if there were no dead latents
  double l0 = 0;              ///< active latents per row
  int64_t dead = 0;
  int64_t whole_rows = 0;  ///< rows whose scores all had to be computed in float32 (EncodeCounts::exact_rows)
};

class CapturedStep;

/// Trains one autoencoder. The order of a step is fixed: forward, loss, backward, projection of the decoder's gradient,
/// Adam, decoder rows back to unit length, moving average. The same options and batches give the same bits.
class Trainer {
 public:
  Trainer(Autoencoder autoencoder, TrainingOptions options);

  /// x: [rows, width] normalised rows. Throws where a loss or a parameter becomes NaN or infinite.
  StepReport step(const Tensor& x);
  /// Can steps run ahead of the host? TopK, f32, fused, on simt or cuda, without clipping, one learning rate, nothing
  /// frozen or free.
  bool can_run_ahead() const;
  /// A step for which nobody waits: `rows`, f32 [batch_size, width] of the host, are on their way while the device
  /// works on the step before, and on cuda the step is one CUDA graph. It is the same step, but that the auxiliary loss
  /// goes by room for dead latents: twice as many as there were at the last multiple of 50 steps, when it does wait.
  /// Throws where a loss or a parameter became NaN or infinite in one of the steps before it.
  void step_ahead(std::span<const float> rows);
  /// What the steps that ran ahead saw since the last call, in their order; waits for them. Throws where a loss or a
  /// parameter became NaN or infinite. Due before anything else is asked of the trainer after a step_ahead.
  std::vector<StepReport> reports();
  /// The profile of a step on x, which it takes.
  TapeReport profile(const Tensor& x);

  /// Gives dead latents a new start, as Bricken et al. (2023, "Towards Monosemanticity") do: each takes a row of
  /// `batches` (normalised rows), drawn with a probability proportional to its squared loss, as its direction; its
  /// encoder row gets a fifth of the mean length of the live ones, its biases and scales their start values, and its
  /// moments become 0. Returns how many there were. The draws depend on the seed and the step alone.
  int64_t resample_dead(std::span<const Tensor> batches);
  /// Measures the threshold of the weights as they are (sae::measure_threshold).
  void measure_threshold(std::span<const Tensor> batches) { sae::measure_threshold(autoencoder_, batches); }

  const Autoencoder& autoencoder() const { return autoencoder_; }
  const TrainingOptions& options() const { return options_; }
  int64_t steps_done() const { return steps_done_; }
  int64_t rows_seen() const { return rows_seen_; }
  /// A copy whose parameters are the bias-corrected moving averages, decoder rows brought back to their length. Empty
  /// before the first step, and without averaging.
  std::optional<Autoencoder> averaged() const;
  /// Rows since each latent last fired.
  const std::vector<int64_t>& rows_since_fired() const { return rows_since_fired_; }
  int64_t dead_latents() const;

  /// Everything a resumed run needs to go on with the same bits, as named tensors.
  struct State {
    std::vector<std::pair<std::string, Tensor>> tensors;
  };
  State state() const;
  /// Throws, naming the tensor, where one is missing or has another shape.
  void restore(const State& state);

 private:
  StepReport take_step(Tape& tape, const Tensor& x);
  RowConstraint constraint_of(const Parameter& parameter) const;
  /// Does the step read the encoder from panels_?
  bool packs_encoder() const;
  Tensor dead_list() const;
  void count_firings(const Value& latents, int64_t rows);
  int64_t wanted_dead_room() const;
  /// Takes in what the steps that ran ahead counted.
  void catch_up();
  /// Throws while only the device knows what the steps that ran ahead counted.
  void require_reported() const;
  void clip_gradients();
  void update_parameters();
  double ramp(double part) const;
  double learning_rate() const;
  double learning_rate_of(const Parameter& parameter) const;

  Autoencoder autoencoder_;
  TrainingOptions options_;
  std::vector<AdamState> moments_;       // in the order of autoencoder_.parameters()
  std::vector<WeightAverage> averages_;  // the same
  std::vector<int64_t> rows_since_fired_;
  int64_t steps_done_ = 0;
  int64_t rows_seen_ = 0;
  EncoderPanels panels_;                    // of the encoder's present version, for topk
  double last_l0_;                          // decides the layout of latents in the next step, with
  bool compressed_ = false;                 // the layout they had
  std::shared_ptr<CapturedStep> captured_;  // while steps run ahead
  int64_t dead_room_ = -1;                  // for so many dead latents; -1: not yet decided
  bool counted_on_device_ = false;          // did steps run ahead since the last catch_up()?
  std::vector<StepReport> unread_;          // reports of steps that ran ahead, before the last catch_up()
};

}  // namespace sae
