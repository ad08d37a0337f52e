#pragma once

#include <string>
#include <vector>

#include "experiments/common/options.h"
#include "experiments/common/training_run.h"
#include "experiments/compare_activations/contestant.h"
#include "experiments/compare_activations/results.h"

namespace sae {

/// What the sweep compares, as the command line says.
struct SweepOptions {
  std::vector<Contestant> contestants;
  int64_t latents = 0;
  std::vector<double> target_l0;       ///< k, or where penalties aim
  std::vector<double> learning_rates;  ///< the grid of the trials
  double trial_l0 = 32;                ///< the sparsity at which learning rates are tried
  double trial_penalty = 0.2;          ///< first guess of an L1 penalty that gives trial_l0
  int64_t seeds = 1;                   ///< of the whole runs
  int64_t tokens = 0;                  ///< of a whole run
  std::string folder;                  ///< results.csv, the plot, and runs/NAME/ for each run
  std::string size_in_names;           ///< of the runs, where several sizes are compared: "-n1024"
};

/// Declares the sweep's own options and reads them; `latents` is one of sizes_of(options).
void declare_sweep_options(Options& options);
SweepOptions sweep_options(const Options& options, const ActivationData& data, int64_t latents);
/// The numbers of latents of --latents, each of which gets a sweep.
std::vector<int64_t> sizes_of(const Options& options);

/// The whole comparison. Every run that is finished is kept in its folder and found again, so that an interrupted sweep
/// goes on where it was:
///   1. for each activation with a penalty, the penalty for trial_l0, roughly, at the middle learning rate;
///   2. learning-rate trials, whole runs, the same number for each activation, compared by error_at trial_l0;
///   3. the target nearest to trial_l0 first, then one above and one below at a time: penalties, on a quarter of the
///      tokens, then whole runs of the first seed, with points at half and at all of the tokens; where L0 came out too
///      far from its target, at most twice more, with a penalty interpolated between the whole runs; then the chosen
///      runs for every other seed.
/// Runs of one step of this list share one stream of batches. Rows of principal components ("pca") stand beside them.
/// Choices are made on validation data; the rows are test data. results.csv and the plot are rewritten after each run.
std::vector<ResultRow> run_sweep(const RunContext& context, const Options& options, const SweepOptions& sweep);

}  // namespace sae
