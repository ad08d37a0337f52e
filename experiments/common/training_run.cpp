#include "experiments/common/training_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/progress.h"
#include "experiments/common/run_in_progress.h"
#include "experiments/common/training_memory.h"

namespace sae {

int64_t before_last_fifth(int64_t steps) { return std::max<int64_t>(1, steps - steps / 5); }

double movement(const RunResult& result) {
  if (result.points.size() < 2) return 0;
  const Metrics& before = result.points[result.points.size() - 2].validation;
  const Metrics& after = result.points.back().validation;
  const auto change = [](double a, double b) { return a > 0 ? std::abs(b / a - 1) : 0; };
  return std::max(change(before.normalised_mse, after.normalised_mse), change(before.l0, after.l0));
}

RunContext make_context(const ActivationData& data, uint64_t seed, Device& device, InputNormalisation how) {
  return {data, data_statistics(data.train, how), initial_pre_bias(data.train, seed, how), device};
}

Autoencoder initial_weights(const RunContext& context, const RunPlan& plan) {
  if (!plan.start) return Autoencoder::initialise(plan.model, context.pre_bias, plan.training.seed, plan.encoder_start);
  std::vector<Tensor> tensors;
  for (const Parameter* parameter : plan.start->parameters()) {
    tensors.push_back(parameter->value().to(context.device).clone());
  }
  std::vector<Tensor> extra(tensors.begin() + 4, tensors.end());
  return Autoencoder(plan.model, tensors[0], tensors[1], tensors[2], tensors[3], std::move(extra));
}

namespace {

void check_one_stream(std::span<const RunPlan> plans) {
  for (const RunPlan& plan : plans) {
    const TrainingOptions &a = plans[0].training, &b = plan.training;
    CHECK(a.seed == b.seed && a.batch_size == b.batch_size && a.steps == b.steps && plans[0].shuffle == plan.shuffle &&
              plans[0].model.normalisation == plan.model.normalisation,
          "training runs: '{}' and '{}' differ in seed, batch size, steps, shuffling or input normalisation; they "
          "cannot share one stream of batches",
          plans[0].label, plan.label);
  }
}

/// The runs of a stream that are not at their end.
class RunsOnOneStream {
 public:
  RunsOnOneStream(const RunContext& context, std::span<const RunPlan> plans) : results_(plans.size()) {
    for (const RunPlan& plan : plans) runs_.push_back(std::make_unique<RunInProgress>(context, plan));
    for (size_t i = 0; i < runs_.size(); ++i) end_if_finished(i);
  }

  bool done() const {
    return std::all_of(runs_.begin(), runs_.end(), [](const auto& run) { return run == nullptr; });
  }

  /// The first batch that some run still needs; those that were interrupted later wait for the others.
  int64_t first_step() const {
    int64_t first = std::numeric_limits<int64_t>::max();
    for (const auto& run : runs_) {
      if (run != nullptr) first = std::min(first, run->steps_done());
    }
    return first;
  }

  void step(int64_t number, const Tensor& x) {
    for (size_t i = 0; i < runs_.size(); ++i) {
      if (runs_[i] == nullptr || runs_[i]->steps_done() != number) continue;
      try {
        runs_[i]->step(x);
        end_if_finished(i);
      } catch (const NotFinite& error) {
        results_[i].diverged = error.what();
        runs_[i].reset();
      }
    }
  }

  void checkpoint() {
    for (const auto& run : runs_) {
      if (run != nullptr) run->checkpoint();
    }
  }

  /// The only run's line of metrics, or how many go on.
  std::string shown() const {
    if (runs_.size() == 1) return runs_[0] != nullptr ? runs_[0]->shown() : last_shown_;
    const auto left = std::count_if(runs_.begin(), runs_.end(), [](const auto& run) { return run != nullptr; });
    return left > 0 ? fmt::format("{} runs", left) : "all done";
  }

  std::vector<RunResult> results() && { return std::move(results_); }

 private:
  void end_if_finished(size_t i) {
    if (!runs_[i]->finished()) return;
    results_[i] = runs_[i]->result();
    last_shown_ = runs_[i]->shown();
    runs_[i].reset();  // its memory, for the others
  }

  std::vector<std::unique_ptr<RunInProgress>> runs_;  // null: finished or diverged
  std::vector<RunResult> results_;
  std::string last_shown_;
};

int64_t memory_of_unfinished(std::span<const RunPlan> plans) {
  int64_t bytes = 0;
  for (const RunPlan& plan : plans) {
    const bool finished = plan.resume && std::filesystem::exists(plan.folder + "/result.json");
    if (!finished) bytes += training_memory(plan.model, plan.training);
  }
  return bytes;
}

}  // namespace

std::vector<RunResult> train_runs(const RunContext& context, std::span<const RunPlan> plans, const std::string& label) {
  check_one_stream(plans);
  CHECK(plans[0].model.normalisation == context.statistics.normalisation,
        "training runs: the statistics of the data are of rows with another input normalisation than '{}' has",
        plans[0].label);
  require_memory(context.device.kind(), context.device.free_memory(), memory_of_unfinished(plans));
  RunsOnOneStream stream(context, plans);
  if (stream.done()) return std::move(stream).results();
  const TrainingOptions& training = plans[0].training;
  const int64_t first = stream.first_step(), batch = training.batch_size;
  Progress progress(label, training.steps * batch, "tokens", first * batch);
  const auto batches =
      context.data.train.batches(training.seed, first, batch, plans[0].shuffle, plans[0].model.normalisation);
  for (int64_t step = first; step < training.steps && !stream.done(); ++step) {
    stream.step(step, batches->next());
    progress.update((step + 1) * batch, stream.shown());
    if (interrupted() && !stream.done()) {
      stream.checkpoint();
      fail("interrupted after {} of {} steps; run again with --resume to go on", step + 1, training.steps);
    }
  }
  progress.finish(stream.shown());
  return std::move(stream).results();
}

RunResult train_run(const RunContext& context, const RunPlan& plan) {
  RunResult result = train_runs(context, {&plan, 1}, plan.label).front();
  if (result.diverged) throw NotFinite(*result.diverged);
  return result;
}

Metrics evaluate(const Autoencoder& autoencoder, const SplitRows& rows, const DataStatistics& statistics,
                 PassOptions how) {
  const InputNormalisation normalisation = autoencoder.options().normalisation;
  CHECK(statistics.normalisation == normalisation,
        "evaluate: the autoencoder's input normalisation is '{}', the statistics of the data are of rows with '{}'",
        name_of(normalisation), name_of(statistics.normalisation));
  constexpr int64_t batch = 1024;  // metrics do not depend on it
  EncoderPanels panels;
  const bool packs = rows.device().kind() == DeviceKind::cpu && autoencoder.options().activation == Activation::topk;
  if (how.fused && how.panels == nullptr && packs) {
    panels.refresh(autoencoder.encoder());
    how.panels = &panels;
  }
  MetricsSum sum(statistics.mean, autoencoder.options().latents);
  for (int64_t begin = 0; begin < rows.rows(); begin += batch) {
    const Tensor x = rows.range(begin, std::min(rows.rows(), begin + batch), normalisation);
    add_batch(sum, autoencoder, x, how);
  }
  return sum.result();
}

void put_metrics(Json& object, const Metrics& metrics) {
  object.set("rows", metrics.rows).set("normalised_mse", metrics.normalised_mse);
  object.set("per_row_mse", metrics.per_row_mse).set("explained_variance", metrics.explained_variance);
  object.set("l0", metrics.l0).set("l1", metrics.l1).set("dead_fraction", metrics.dead_fraction);
  object.set("density_histogram", metrics.density_histogram());
}

}  // namespace sae
