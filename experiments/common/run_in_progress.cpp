#include "experiments/common/run_in_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "engine/error.h"
#include "experiments/common/subject.h"
#include "models/autoencoder/autoencoder_file.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

/// Everything that decides the result of a run, as text: two runs are the same if this is.
std::string plan_text(const RunContext& context, const RunPlan& plan) {
  const AutoencoderOptions& m = plan.model;
  const TrainingOptions& t = plan.training;
  Json json = Json::object();
  json.set("store", context.data.train.store().fingerprint());
  json.set("rows", context.data.train.rows());
  json.set("activation", name_of(m.activation)).set("latents", m.latents).set("width", m.width).set("k", m.k);
  json.set("penalty", m.penalty).set("k_aux", m.k_aux).set("aux_weight", m.aux_weight);
  json.set("bandwidth", m.bandwidth).set("target_rate", m.target_rate).set("weight_decay", m.weight_decay);
  json.set("learning_rate", t.learning_rate).set("batch_size", t.batch_size).set("steps", t.steps);
  json.set("lr_warmup", t.lr_warmup).set("lr_decay", t.lr_decay).set("penalty_warmup", t.penalty_warmup);
  json.set("threshold_rate", t.threshold_rate).set("freeze_decoder", t.freeze_decoder);
  json.set("resamples", plan.resamples);
  json.set("dead_after", t.dead_after).set("fired_above", t.fired_above).set("averaging", t.averaging);
  json.set("clip_norm", t.clip_norm).set("mse_scale", t.mse_scale).set("seed", t.seed);
  json.set("precision", t.precision == Precision::bf16 ? "bf16" : "f32").set("shuffle", plan.shuffle);
  json.set("scoring", name_of(t.scoring)).set("fused", t.fused);
  // What is left out where it is as usual, so that older runs are still found.
  if (!plan.encoder_start.tied) json.set("encoder_start", "random");
  if (plan.encoder_start.length) json.set("encoder_length", *plan.encoder_start.length);
  if (t.freeze_encoder_bias) json.set("freeze_encoder_bias", true);
  if (t.bias_rate != 1) json.set("bias_rate", t.bias_rate);
  if (t.free_decoder_norm) json.set("free_decoder_norm", true);
  if (m.normalisation != InputNormalisation::centred_unit_norm) {
    json.set("input_normalisation", name_of(m.normalisation));
  }
  if (plan.start) json.set("init_from", plan.start_name);
  const DeviceKind device = context.device.kind();
  if (device != DeviceKind::cpu) json.set("device", name_of(device));  // other bits
  return json.dump();
}

Metrics read_metrics(const Json& json) {
  Metrics metrics;
  metrics.rows = json.at("rows").integer();
  metrics.normalised_mse = json.at("normalised_mse").number();
  metrics.per_row_mse = json.at("per_row_mse").number();
  metrics.explained_variance = json.at("explained_variance").number();
  metrics.l0 = json.at("l0").number();
  metrics.l1 = json.at("l1").number();
  metrics.dead_fraction = json.at("dead_fraction").number();
  return metrics;
}

Json points_json(const std::vector<RunPoint>& points) {
  Json list = Json::array();
  for (const RunPoint& point : points) {
    Json item = Json::object();
    item.set("step", point.step).set("tokens", point.tokens).set("weights", point.averaged ? "average" : "raw");
    item.set("seconds", point.seconds);
    Json validation = Json::object();
    put_metrics(validation, point.validation);
    item.set("validation", validation);
    if (point.test) {
      Json test = Json::object();
      put_metrics(test, *point.test);
      item.set("test", test);
    }
    list.push(item);
  }
  return list;
}

std::vector<RunPoint> read_points(const Json& list) {
  std::vector<RunPoint> points;
  for (int64_t i = 0; i < list.size(); ++i) {
    const Json item = list.at(i);
    RunPoint point;
    point.step = item.at("step").integer();
    point.tokens = item.at("tokens").integer();
    point.averaged = item.at("weights").text() == "average";
    point.seconds = item.at("seconds").number();
    point.validation = read_metrics(item.at("validation"));
    if (item.has("test")) point.test = read_metrics(item.at("test"));
    points.push_back(std::move(point));
  }
  return points;
}

Json means_json(const StepReport& sum, int64_t steps) {
  Json json = Json::object();
  json.set("normalised_mse", sum.normalised_mse).set("penalty", sum.penalty).set("auxiliary_loss", sum.auxiliary_loss);
  json.set("l0", sum.l0).set("whole_rows", sum.whole_rows).set("steps", steps);
  return json;
}

const std::string& note(const Metadata& notes, const std::string& key, const std::string& file) {
  const auto found = std::find_if(notes.begin(), notes.end(), [&](const auto& pair) { return pair.first == key; });
  CHECK(found != notes.end(), "{}: the checkpoint lacks '{}'; start anew with --overwrite", file, key);
  return found->second;
}

}  // namespace

void RunInProgress::IntervalMeans::add(const StepReport& report) {
  sum.normalised_mse += report.normalised_mse;
  sum.penalty += report.penalty;
  sum.auxiliary_loss += report.auxiliary_loss;
  sum.l0 += report.l0;
  sum.whole_rows += report.whole_rows;
  ++steps;
}

RunInProgress::RunInProgress(const RunContext& context, const RunPlan& plan)
    : context_(context),
      plan_(plan),
      text_(plan_text(context, plan)),
      trainer_(initial_weights(context, plan), plan.training) {
  const bool old_files = fs::exists(file("metrics.jsonl")) || fs::exists(file("result.json"));
  if (plan_.resume && fs::exists(file("result.json"))) {
    result_ = read_result();
    return;
  }
  fs::create_directories(plan_.folder);
  if (plan_.resume && fs::exists(file("checkpoint.safetensors"))) {
    restore();
  } else {
    CHECK(!old_files || plan_.resume,
          "{}: holds another run; go on with it by --resume, replace it by --overwrite, or give "
          "another --output",
          plan_.folder);
    metrics_.emplace(file("metrics.jsonl"), IfExists::replace);
    if (plan_.checkpoint_at_start) save_checkpoint(file("step-0.safetensors"), trainer_, {});
  }
  evaluate_if_due();
}

void RunInProgress::step(const Tensor& x) {
  const int64_t steps = plan_.training.steps;
  const int64_t log_every = plan_.log_every > 0 ? plan_.log_every : std::max<int64_t>(1, steps / 100);
  timed([&] {
    resample_if_due();
    if (trainer_.can_run_ahead()) {
      trainer_.step_ahead({x.data<float>(), static_cast<size_t>(x.elements())});
    } else {
      means_.add(trainer_.step(x.to(context_.device)));
    }
  });
  const int64_t done = trainer_.steps_done();
  if (done % log_every == 0 || done == steps) log();
  evaluate_if_due();
  if (done == steps) {
    result_ = finish();
  } else if (checkpoint_due()) {
    checkpoint();
  }
}

template <class Work>
void RunInProgress::timed(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void RunInProgress::catch_up() {
  timed([&] {
    for (const StepReport& report : trainer_.reports()) means_.add(report);
  });
}

/// By the clock unless steps are asked for: a checkpoint takes half a second, and a trial run ten.
bool RunInProgress::checkpoint_due() const {
  if (plan_.checkpoint_every > 0) return trainer_.steps_done() % plan_.checkpoint_every == 0;
  return std::chrono::steady_clock::now() - last_checkpoint_ >= std::chrono::minutes(1);
}

RunResult RunInProgress::read_result() const {
  const Json result = Json::read(file("result.json"));
  CHECK(result.at("plan").text() == text_,
        "{}: holds the result of another run (other options or data); give another --output, or --overwrite",
        plan_.folder);
  return {read_points(result.at("points")), file("autoencoder.safetensors")};
}

void RunInProgress::restore() {
  const std::string path = file("checkpoint.safetensors");
  const Metadata notes = restore_checkpoint(path, trainer_);
  CHECK(note(notes, "plan", path) == text_,
        "{}: is of another run (other options or data); give another --output, or --overwrite", path);
  metrics_.emplace(JsonLinesWriter::resume(file("metrics.jsonl"), std::stoll(note(notes, "metrics_bytes", path))));
  points_ = read_points(Json::parse(note(notes, "points", path), path));
  const Json interval = Json::parse(note(notes, "interval", path), path);
  means_.sum.normalised_mse = interval.at("normalised_mse").number();
  means_.sum.penalty = interval.at("penalty").number();
  means_.sum.auxiliary_loss = interval.at("auxiliary_loss").number();
  means_.sum.l0 = interval.at("l0").number();
  means_.sum.whole_rows = interval.at("whole_rows").integer();
  means_.steps = interval.at("steps").integer();
  seconds_ = std::stod(note(notes, "seconds", path));
}

void RunInProgress::checkpoint() {
  catch_up();
  save_checkpoint(file("checkpoint.safetensors"), trainer_,
                  {{"plan", text_},
                   {"metrics_bytes", std::to_string(metrics_->bytes())},
                   {"points", points_json(points_).dump()},
                   {"interval", means_json(means_.sum, means_.steps).dump()},
                   {"seconds", fmt::format("{}", seconds_)}});
  last_checkpoint_ = std::chrono::steady_clock::now();
}

void RunInProgress::log() {
  catch_up();
  Json line = Json::object();
  line.set("step", trainer_.steps_done()).set("tokens", trainer_.rows_seen());
  line.set("normalised_mse", means_.mean(means_.sum.normalised_mse)).set("l0", means_.mean(means_.sum.l0));
  const bool penalised = !facts_of(plan_.model.activation).chooses_k;
  if (penalised) line.set("penalty", means_.mean(means_.sum.penalty));
  if (plan_.model.k_aux > 0 || plan_.model.activation == Activation::gated)
    line.set("auxiliary_loss", means_.mean(means_.sum.auxiliary_loss));
  if (plan_.model.activation == Activation::topk) {
    const auto batch = static_cast<double>(plan_.training.batch_size);
    line.set("whole_rows", means_.mean(static_cast<double>(means_.sum.whole_rows)) / batch);
  }
  line.set("dead", trainer_.dead_latents());
  metrics_->append(line);
  shown_ = fmt::format("NMSE {:.4f}  L0 {:.1f}  dead {}", means_.mean(means_.sum.normalised_mse),
                       means_.mean(means_.sum.l0), trainer_.dead_latents());
  means_ = {};
}

void RunInProgress::evaluate_if_due() {
  const int64_t done = trainer_.steps_done();
  const auto& due = plan_.evaluate_after;
  if (std::find(due.begin(), due.end(), done) == due.end()) return;
  if (!points_.empty() && points_.back().step == done) return;  // restored at this very step
  catch_up();
  RunPoint point;
  point.step = done;
  point.tokens = trainer_.rows_seen();
  point.seconds = seconds_;
  const bool needs_threshold = facts_of(plan_.model.activation).whole_batch;
  const std::vector<Tensor> sample = needs_threshold ? training_sample(0) : std::vector<Tensor>{};
  trainer_.measure_threshold(sample);
  const PassOptions how{.fused = plan_.training.fused};
  std::optional<Autoencoder> averaged = trainer_.averaged();
  if (averaged) measure_threshold(*averaged, sample);
  point.validation = evaluate(trainer_.autoencoder(), context_.data.validation, context_.statistics, how);
  if (averaged) {
    const Metrics other = evaluate(*averaged, context_.data.validation, context_.statistics, how);
    point.averaged = held_out_objective(plan_.model, other) < held_out_objective(plan_.model, point.validation);
    if (point.averaged) point.validation = other;
  }
  const Autoencoder& better = point.averaged ? *averaged : trainer_.autoencoder();
  if (plan_.test) point.test = evaluate(better, context_.data.test, context_.statistics, how);
  points_.push_back(std::move(point));
}

/// Eight batches of training rows in an order of their own; `part` says which.
std::vector<Tensor> RunInProgress::training_sample(int64_t part) const {
  constexpr int64_t batches = 8;
  constexpr uint64_t other_order = uint64_t{1} << 63;
  const auto stream = context_.data.train.batches(plan_.training.seed ^ other_order, part * batches,
                                                  plan_.training.batch_size, true, plan_.model.normalisation);
  std::vector<Tensor> sample;
  for (int64_t i = 0; i < batches; ++i) sample.push_back(stream->next().to(context_.device));
  return sample;
}

void RunInProgress::resample_if_due() {
  if (!facts_of(plan_.model.activation).resampled) return;
  for (int64_t i = 1; i <= plan_.resamples; ++i) {
    const int64_t due = plan_.training.steps * i / (2 * plan_.resamples);
    if (due > 0 && due == trainer_.steps_done()) {
      trainer_.resample_dead(training_sample(i));
      return;
    }
  }
}

RunResult RunInProgress::finish() {
  CHECK(!points_.empty(), "training run: no evaluation was asked for");
  const std::string path = file("autoencoder.safetensors");
  const bool use_average = points_.back().averaged;
  std::optional<Autoencoder> averaged = use_average ? trainer_.averaged() : std::nullopt;
  if (averaged && facts_of(plan_.model.activation).whole_batch) measure_threshold(*averaged, training_sample(0));
  const StoreDescription& data = context_.data.train.store().description();
  Metadata notes = {{"weights", use_average ? "average" : "raw"},
                    {"subject", context_.data.subject()},
                    {"model", data.model},
                    {"layer", std::to_string(data.layer)},
                    {"site", data.site},
                    {"context_length", std::to_string(data.context_length)},
                    {"beginning", contexts_have_beginning(data) ? "on" : "off"},
                    {"plan", text_},
                    {"options", plan_.options_text}};
  if (plan_.start) notes.emplace_back("init_from", plan_.start_name);
  save_autoencoder(path, use_average ? *averaged : trainer_.autoencoder(), notes, IfExists::replace);
  Json result = Json::object();
  result.set("plan", text_).set("points", points_json(points_));
  result.write(file("result.json"), IfExists::replace);
  fs::remove(file("checkpoint.safetensors"));
  return {points_, path};
}

}  // namespace sae
