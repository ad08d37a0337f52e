#include "models/autoencoder/trainer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "engine/error.h"
#include "models/autoencoder/captured_step.h"
#include "ops/clip_norm/clip_norm.h"
#include "ops/firings/firings.h"
#include "ops/optimise_latents/optimise_latents.h"
#include "ops/unit_norm/unit_norm.h"

namespace sae {

double default_learning_rate(int64_t latents) { return 2e-4 / std::sqrt(static_cast<double>(latents) / 16384.0); }

double default_averaging_decay(int64_t steps) {
  return steps <= 0 ? 0.0 : std::clamp(1.0 - 50.0 / static_cast<double>(steps), 0.0, 0.999);
}

void check(const TrainingOptions& options) {
  CHECK(std::isfinite(options.learning_rate) && options.learning_rate > 0,
        "training: the learning rate is {}, expected above 0", options.learning_rate);
  CHECK(options.batch_size >= 1, "training: the batch size is {}, expected at least 1", options.batch_size);
  CHECK(options.steps >= 1, "training: {} steps, expected at least 1; give more tokens or a smaller batch",
        options.steps);
  for (const auto& [name, part] : {std::pair{"lr-warmup", options.lr_warmup}, std::pair{"lr-decay", options.lr_decay},
                                   std::pair{"penalty-warmup", options.penalty_warmup}}) {
    CHECK(0 <= part && part <= 1, "training: {} is {}, expected a part of the run from 0 to 1", name, part);
  }
  CHECK(std::isfinite(options.threshold_rate) && options.threshold_rate > 0,
        "training: the rate of the thresholds is {} times the learning rate, expected above 0", options.threshold_rate);
  CHECK(std::isfinite(options.bias_rate) && options.bias_rate > 0,
        "training: the rate of the biases is {} times the learning rate, expected above 0", options.bias_rate);
  CHECK(options.dead_after >= 1, "training: dead-after is {} tokens, expected at least 1", options.dead_after);
  CHECK(std::isfinite(options.clip_norm) && options.clip_norm >= 0, "training: clip-norm is {}, expected 0 or more",
        options.clip_norm);
  CHECK(std::isfinite(options.mse_scale) && options.mse_scale > 0,
        "training: the scale of the squared error is {}; are all rows equal?", options.mse_scale);
}

namespace {

/// Latents whose number varies are compressed once less than the first part of them was active, and dense again above
/// the second: the sparse products overtake the dense ones between a sixth and a fourteenth on the processors that were
/// measured. Two numbers, so that a run near one of them does not go to and fro.
constexpr double compressed_below = 0.08, dense_above = 0.1;

double scalar_of(const Variable& loss) { return require_dense("loss", loss.value).to(Dtype::f64).item<double>(); }

}  // namespace

Trainer::Trainer(Autoencoder autoencoder, TrainingOptions options)
    : autoencoder_(std::move(autoencoder)),
      options_(options),
      rows_since_fired_(static_cast<size_t>(autoencoder_.options().latents), 0),
      last_l0_(static_cast<double>(autoencoder_.options().latents)) {
  check(options_);
  for (const Parameter* parameter : autoencoder_.parameters()) {
    moments_.emplace_back(*parameter);
    if (options_.averaging) averages_.emplace_back(*parameter, default_averaging_decay(options_.steps));
  }
}

RowConstraint Trainer::constraint_of(const Parameter& parameter) const {
  const bool unit = facts_of(autoencoder_.options().activation).unit_decoder && !options_.free_decoder_norm;
  return unit && &parameter == &autoencoder_.decoder() ? RowConstraint::unit_norm : RowConstraint::none;
}

/// 0 rising to 1 over the first `part` of the steps; the first step is above 0.
double Trainer::ramp(double part) const {
  const double steps = part * static_cast<double>(options_.steps);
  return steps < 1 ? 1.0 : std::min(1.0, static_cast<double>(steps_done_ + 1) / steps);
}

double Trainer::learning_rate() const {
  const double decay_steps = options_.lr_decay * static_cast<double>(options_.steps);
  const double left = static_cast<double>(options_.steps - steps_done_);
  const double decay = decay_steps < 1 ? 1.0 : std::clamp(left / decay_steps, 0.0, 1.0);
  return options_.learning_rate * ramp(options_.lr_warmup) * decay;
}

double Trainer::learning_rate_of(const Parameter& parameter) const {
  const bool is_bias = &parameter == &autoencoder_.encoder_bias() || &parameter == &autoencoder_.pre_bias();
  const bool is_threshold = parameter.name() == "log_threshold";
  return learning_rate() * (is_bias ? options_.bias_rate : is_threshold ? options_.threshold_rate : 1.0);
}

StepReport Trainer::step(const Tensor& x) {
  Tape tape;
  return take_step(tape, x);
}

TapeReport Trainer::profile(const Tensor& x) {
  Tape tape;
  take_step(tape, x);
  return tape.report();
}

bool Trainer::can_run_ahead() const { return CapturedStep::can_take(autoencoder_, options_); }

int64_t Trainer::wanted_dead_room() const {
  const int64_t latents = autoencoder_.options().latents, dead = dead_latents();
  if (autoencoder_.options().k_aux == 0) return 0;
  if (options_.dead_capacity >= 0) return std::min(latents, options_.dead_capacity);
  return dead == 0 ? 0 : std::min(latents, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(2 * dead))));
}

void Trainer::step_ahead(std::span<const float> rows) {
  const AutoencoderOptions& model = autoencoder_.options();
  CHECK(can_run_ahead(), "training: only fused TopK steps in f32 on simt and cuda run ahead, without clipping");
  CHECK(static_cast<int64_t>(rows.size()) == options_.batch_size * model.width,
        "training: {} numbers for a batch of {} rows of width {}", rows.size(), options_.batch_size, model.width);
  // At fixed steps, whenever reports are asked for: a run and one that was resumed have the same room.
  if (dead_room_ < 0 || steps_done_ % CapturedStep::most_unread == 0) {
    catch_up();
    // The recording stays, unless it now has room for too few or far too many.
    if (const int64_t wanted = wanted_dead_room(); wanted > dead_room_ || 4 * wanted < dead_room_) {
      dead_room_ = wanted;
      captured_.reset();
    }
  }
  if (captured_ == nullptr) {
    captured_ = std::make_shared<CapturedStep>(autoencoder_.encoder().value().device(), model, options_,
                                               rows_since_fired_, dead_room_);
  }
  captured_->run({autoencoder_, moments_, averages_, panels_}, rows.data(), learning_rate());
  counted_on_device_ = true;
  rows_seen_ += options_.batch_size;
  ++steps_done_;
}

void Trainer::catch_up() {
  if (!counted_on_device_) return;
  const std::vector<StepReport> reports = captured_->reports(autoencoder_);
  rows_since_fired_ = captured_->rows_since_fired();
  last_l0_ = reports.back().l0;
  unread_.insert(unread_.end(), reports.begin(), reports.end());
  counted_on_device_ = false;
}

std::vector<StepReport> Trainer::reports() {
  catch_up();
  return std::exchange(unread_, {});
}

void Trainer::require_reported() const {
  CHECK(!counted_on_device_, "training: steps ran ahead, and what they counted is on the device; call reports() first");
}

StepReport Trainer::take_step(Tape& tape, const Tensor& x) {
  require_reported();
  captured_.reset();  // its counts of firings would go out of date
  dead_room_ = -1;
  const double active = last_l0_ / static_cast<double>(autoencoder_.options().latents);
  compressed_ = compressed_ ? active <= dense_above : active < compressed_below;
  PassOptions how{options_.precision, compressed_ ? LatentLayout::compressed : LatentLayout::dense, options_.fused,
                  options_.scoring};
  if (packs_encoder()) {
    panels_.refresh(autoencoder_.encoder());
    how.panels = &panels_;
  }
  EncodeCounts counts;
  how.encode_counts = &counts;
  AutoencoderOptions model = autoencoder_.options();
  model.penalty *= ramp(options_.penalty_warmup);
  const Tensor dead = dead_list();
  const TrainingLoss loss =
      training_loss(Weights::watched(tape, autoencoder_), model, x, options_.mse_scale, dead, how);

  StepReport report;
  report.dead = dead.elements();
  report.whole_rows = counts.exact_rows;
  report.normalised_mse = scalar_of(loss.terms[0].loss);
  if (loss.penalty) report.penalty = scalar_of(loss.terms[*loss.penalty].loss);
  if (loss.auxiliary) report.auxiliary_loss = scalar_of(loss.terms[*loss.auxiliary].loss);
  tape.backward(loss.terms);
  count_firings(loss.latents.value, x.rows());
  report.l0 = last_l0_;
  if (options_.clip_norm > 0) clip_gradients();
  update_parameters();
  rows_seen_ += x.rows();
  ++steps_done_;
  return report;
}

bool Trainer::packs_encoder() const {
  const Tensor& encoder = autoencoder_.encoder().value();
  return options_.fused && autoencoder_.options().activation == Activation::topk && encoder.dtype() == Dtype::f32;
}

Tensor Trainer::dead_list() const {
  std::vector<int32_t> dead;
  if (facts_of(autoencoder_.options().activation).chooses_k) {
    for (size_t latent = 0; latent < rows_since_fired_.size(); ++latent) {
      if (rows_since_fired_[latent] >= options_.dead_after) dead.push_back(static_cast<int32_t>(latent));
    }
  }
  return Tensor::from(autoencoder_.encoder().value().device(), {static_cast<int64_t>(dead.size())}, dead);
}

int64_t Trainer::dead_latents() const {
  return std::count_if(rows_since_fired_.begin(), rows_since_fired_.end(),
                       [&](int64_t rows) { return rows >= options_.dead_after; });
}

void Trainer::count_firings(const Value& latents, int64_t rows) {
  int64_t active = 0;
  const std::vector<int64_t> fired = sae::count_firings(latents, options_.fired_above);
  for (size_t latent = 0; latent < fired.size(); ++latent) {
    rows_since_fired_[latent] = fired[latent] > 0 ? 0 : rows_since_fired_[latent] + rows;
    active += fired[latent];
  }
  last_l0_ = static_cast<double>(active) / static_cast<double>(rows);
}

void Trainer::clip_gradients() {
  std::vector<Parameter*> trained;
  std::vector<Tensor> dense;
  for (Parameter* parameter : autoencoder_.parameters()) {
    if (parameter->gradient.empty()) continue;  // a measured threshold
    const Tensor& value = parameter->value();
    trained.push_back(parameter);
    dense.push_back(materialize(parameter->gradient, value.device(), value.shape(), value.dtype()));
  }
  double length = 0;
  dense = clip_norm(std::move(dense), options_.clip_norm, &length);
  if (length <= options_.clip_norm) return;  // the sparse terms are as good, and cheaper
  for (size_t i = 0; i < trained.size(); ++i) {
    trained[i]->gradient.clear();
    trained[i]->gradient.add(std::move(dense[i]));
  }
}

void Trainer::update_parameters() {
  const AdamOptions adam{.learning_rate = learning_rate()};
  if (options_.freeze_decoder) autoencoder_.decoder().gradient.clear();
  if (options_.freeze_encoder_bias) autoencoder_.encoder_bias().gradient.clear();
  const auto parameters = autoencoder_.parameters();
  const auto in_one_pass = [&](const Parameter* parameter) {
    return options_.fused && parameter->value().shape().rank() == 2 && !parameter->gradient.empty();
  };
  std::vector<LatentMatrix> matrices;
  std::vector<size_t> others;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!in_one_pass(parameters[i])) {
      others.push_back(i);
      continue;
    }
    matrices.push_back(
        {*parameters[i], moments_[i], constraint_of(*parameters[i]), options_.averaging ? &averages_[i] : nullptr});
  }
  if (!matrices.empty()) {
    // The packed copy follows block by block, while the new rows are in the cache.
    Parameter& encoder = autoencoder_.encoder();
    const auto pack = [&](int64_t begin, int64_t end) {
      panels_.pack_rows(begin, end - begin, encoder.value().data<float>() + begin * encoder.value().cols());
    };
    optimise_latents(matrices, adam, packs_encoder() ? RowsWritten(pack) : RowsWritten());
    if (packs_encoder()) panels_.mark_current(encoder);
  }
  for (const size_t i : others) {
    if (!parameters[i]->gradient.empty()) {  // empty: frozen, or a threshold that is measured
      const AdamOptions own_rate{.learning_rate = learning_rate_of(*parameters[i])};
      adam_step(*parameters[i], moments_[i], own_rate, constraint_of(*parameters[i]));
    }
    if (options_.averaging) averages_[i].update(*parameters[i]);
  }
}

std::optional<Autoencoder> Trainer::averaged() const {
  if (!options_.averaging || steps_done_ == 0) return std::nullopt;
  std::vector<Tensor> extra;
  for (size_t i = 4; i < averages_.size(); ++i) extra.push_back(averages_[i].value());
  Autoencoder average(autoencoder_.options(), averages_[0].value(), averages_[1].value(), averages_[2].value(),
                      averages_[3].value(), std::move(extra));
  if (constraint_of(autoencoder_.decoder()) == RowConstraint::unit_norm) normalise_rows(average.decoder());
  return average;
}

}  // namespace sae
