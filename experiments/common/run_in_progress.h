#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "engine/files/json_lines.h"
#include "experiments/common/training_run.h"

namespace sae {

/// One run while it is trained: the trainer and its files in plan.folder. Whoever holds it feeds it the batches, so
/// that several runs can share one stream (train_runs). context and plan must outlive it.
class RunInProgress {
 public:
  /// Takes up the folder: a finished run of the same plan is found (where plan.resume is set), a checkpoint gone on
  /// with, otherwise the run starts. Throws where the folder holds another run.
  RunInProgress(const RunContext& context, const RunPlan& plan);

  /// Its files are complete: nothing is left to train.
  bool finished() const { return result_.has_value(); }
  const RunResult& result() const { return *result_; }
  int64_t steps_done() const { return trainer_.steps_done(); }

  /// One step on batch number steps_done() of the stream, x on the host, with what is due after it: a line of metrics,
  /// an evaluation, a checkpoint, and at the end the result. Throws NotFinite where the run diverges.
  void step(const Tensor& x);
  void checkpoint();
  /// The last line of metrics: "NMSE 0.2132  L0 32.0  dead 12"
  const std::string& shown() const { return shown_; }

 private:
  /// Means of the step reports since the last line of metrics.jsonl.
  struct IntervalMeans {
    StepReport sum;
    int64_t steps = 0;
    void add(const StepReport& report);
    double mean(double total) const { return total / static_cast<double>(steps > 0 ? steps : 1); }
  };

  std::string file(const std::string& name) const { return plan_.folder + "/" + name; }
  RunResult read_result() const;
  void restore();
  /// Does it, and counts the time as training.
  template <class Work>
  void timed(Work&& work);
  /// Waits for the steps that ran ahead, and takes in what they saw.
  void catch_up();
  void log();
  bool checkpoint_due() const;
  void resample_if_due();
  void evaluate_if_due();
  std::vector<Tensor> training_sample(int64_t part) const;
  RunResult finish();

  const RunContext& context_;
  const RunPlan& plan_;
  std::string text_;
  Trainer trainer_;
  std::optional<JsonLinesWriter> metrics_;
  IntervalMeans means_;
  std::string shown_;
  std::vector<RunPoint> points_;
  double seconds_ = 0;
  std::chrono::steady_clock::time_point last_checkpoint_ = std::chrono::steady_clock::now();
  std::optional<RunResult> result_;
};

}  // namespace sae
