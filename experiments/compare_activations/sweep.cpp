#include "experiments/compare_activations/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "experiments/common/training_options.h"
#include "experiments/compare_activations/learning_rate_search.h"
#include "experiments/compare_activations/penalty_search.h"
#include "experiments/compare_activations/principal_components.h"
#include "experiments/compare_activations/run_rows.h"
#include "experiments/compare_activations/seed_agreement.h"
#include "experiments/compare_activations/targets.h"
#include "experiments/compare_activations/whole_run_penalties.h"

namespace sae {

void declare_sweep_options(Options& options) {
  options.group("Sweep")
      .text(
          "activations", "topk,relu", "A,B",
          "which activations to compare: all of `train` but sigmoid, which has no L0; with '-frozen' (topk-frozen) the "
          "decoder stays at its random start")
      .text("latents", "4096", "N,N",
            "latents of the autoencoders; of several numbers each gets a sweep of its own, in --output/nN, and errors "
            "are drawn over them too")
      .text("target-l0", "8,16,32,64,128", "L0,L0", "sparsities: k, or what penalties aim at")
      .integer("seeds", 1, "N", "whole runs with --seed, --seed + 1, ...; the curve is their mean, with a band")
      .text("lr-grid", "RATE,RATE",
            "learning rates to try, ascending; the best at an edge extends the grid "
            "[default: the paper's rule for the size, times 2, 4 and 8: batches are small here]")
      .number("trial-l0", 32, "L0", "the sparsity at which learning rates are tried")
      .number("trial-penalty", 0.2, "WEIGHT",
              "first guess of an L1 penalty for --trial-l0; a hundredth of it for jumprelu's L0");
}

std::vector<int64_t> sizes_of(const Options& options) {
  std::vector<int64_t> sizes;
  for (const double latents : options.get_numbers("latents")) {
    CHECK(latents >= 1 && latents <= 1 << 30 && latents == std::floor(latents),
          "--latents: expected whole numbers from 1 to 2^30, got {}", latents);
    sizes.push_back(static_cast<int64_t>(latents));
  }
  return sizes;
}

SweepOptions sweep_options(const Options& options, const ActivationData& data, int64_t latents) {
  SweepOptions sweep;
  sweep.latents = latents;
  sweep.contestants = parse_contestants(options.get_text("activations"));
  sweep.seeds = options.get_integer("seeds", 1, 1000);
  sweep.target_l0 = options.get_numbers("target-l0");
  for (const double target : sweep.target_l0) {
    CHECK(target >= 1 && target == std::floor(target), "--target-l0: expected whole numbers from 1, got {}", target);
  }
  if (options.given("lr-grid")) {
    sweep.learning_rates = options.get_numbers("lr-grid");
  } else {
    const double rule = default_learning_rate(latents);
    sweep.learning_rates = {2 * rule, 4 * rule, 8 * rule};
  }
  sweep.trial_l0 = options.get_number("trial-l0", 1, 1e9);
  sweep.trial_penalty = options.get_number("trial-penalty", 1e-9, 1e9);
  sweep.tokens = options.given("tokens") ? options.get_integer("tokens", 1, int64_t{1} << 50) : data.train.rows();
  sweep.folder = options.get_text("output");
  return sweep;
}

namespace {

/// Beyond the edges of the grid, this many further steps of it at most.
constexpr int most_extensions = 3;
/// Penalties are searched on this part of the tokens.
constexpr int64_t trial_divisor = 4;
/// A target that whole runs with a penalty missed gets another one, this often at most.
constexpr int most_corrections = 2;

class Sweep {
 public:
  Sweep(const RunContext& context, const Options& options, const SweepOptions& sweep)
      : context_(context), options_(options), sweep_(sweep) {}

  std::vector<ResultRow> go() {
    for (const Contestant& contestant : sweep_.contestants) rates_[contestant] = middle_rate();
    for (const Contestant& contestant : penalised()) {
      const double guess = sweep_.trial_penalty * (contestant.activation == Activation::jump_relu ? 0.01 : 1.0);
      trial_penalties_[contestant] = penalty_search(contestant, guess).find({&sweep_.trial_l0, 1})[0];
    }
    tune_learning_rates();
    for (const Contestant& contestant : penalised()) {
      searches_.emplace(contestant, penalty_search(contestant, trial_penalties_.at(contestant).penalty));
    }
    std::vector<ResultRow> rows = principal_component_rows();
    for (const std::vector<double>& targets : target_waves(sweep_.target_l0, sweep_.trial_l0)) {
      std::vector<Aimed> aimed;
      for (const Contestant& contestant : sweep_.contestants) aim(aimed, contestant, targets);
      run_together(rows, aimed, 0);
      for (int i = 0; i <= most_corrections; ++i) run_together(rows, correct(aimed, i < most_corrections), 0);
      for (int64_t seed = 1; seed < sweep_.seeds; ++seed) run_together(rows, aimed, seed);
    }
    if (sweep_.seeds > 1) compare_seeds(rows);
    return rows;
  }

 private:
  /// A whole run to come: what sparsity it aims at, with which penalty, if it has one.
  struct Aimed {
    Contestant contestant;
    double target = 0;
    double penalty = 0;
    double trial_l0 = 0;  ///< of the trial that chose the penalty; 0 where none did
  };

  std::vector<Contestant> penalised() const {
    std::vector<Contestant> some;
    for (const Contestant& contestant : sweep_.contestants) {
      if (!facts_of(contestant.activation).chooses_k) some.push_back(contestant);
    }
    return some;
  }

  /// Adds the runs of a contestant at these targets, with penalties found for them.
  void aim(std::vector<Aimed>& aimed, const Contestant& contestant, const std::vector<double>& targets) {
    if (targets.empty()) return;
    std::vector<PenaltyTrial> trials(targets.size());
    if (const auto search = searches_.find(contestant); search != searches_.end()) {
      trials = search->second.find(whole_runs_[contestant].trial_aims(targets));
    }
    for (size_t i = 0; i < targets.size(); ++i) {
      aimed.push_back({contestant, targets[i], trials[i].penalty, trials[i].l0});
    }
  }

  double middle_rate() const { return sweep_.learning_rates[sweep_.learning_rates.size() / 2]; }

  /// What a run is for. Learning rates are tried in whole runs: short ones choose rates that are too high for long
  /// ones.
  enum class Purpose { penalty_trial, rate_trial, result };

  /// `seed` counts from 0; trials use the first.
  RunPlan plan(const Contestant& contestant, double target, double penalty, double rate, Purpose purpose,
               int64_t seed = 0) const {
    RunPlan plan;
    const bool chooses_k = facts_of(contestant.activation).chooses_k;
    plan.model = model_options(options_, context_.data.train.width(), sweep_.latents, contestant.activation,
                               context_.statistics.variance);
    if (chooses_k) plan.model.k = static_cast<int64_t>(target);
    if (!chooses_k) plan.model.penalty = penalty;
    const int64_t tokens = purpose == Purpose::penalty_trial ? sweep_.tokens / trial_divisor : sweep_.tokens;
    plan.training = training_options(options_, plan.model, tokens, context_.statistics.variance);
    plan.training.learning_rate = rate;
    plan.training.freeze_decoder = contestant.frozen_decoder;
    plan.training.seed += static_cast<uint64_t>(seed);
    plan.resamples = options_.get_integer("resamples", 0, 1000);
    const std::string strength = chooses_k ? fmt::format("k{}", plan.model.k) : fmt::format("penalty-{:.5g}", penalty);
    const std::string_view kind = purpose == Purpose::penalty_trial ? "trial-"
                                  : purpose == Purpose::rate_trial  ? "trial-of-rate-"
                                                                    : "";
    const std::string name = fmt::format("{}{}{}-{}-lr{:.3g}{}", kind, name_of(contestant), sweep_.size_in_names,
                                         strength, rate, seed > 0 ? fmt::format("-seed{}", plan.training.seed) : "");
    plan.folder = fmt::format("{}/runs/{}", sweep_.folder, name);
    plan.label = name;
    plan.resume = true;
    plan.test = purpose == Purpose::result;
    plan.evaluate_after = {plan.training.steps};
    if (purpose == Purpose::result) {
      const int64_t steps = plan.training.steps;
      plan.evaluate_after = {std::max<int64_t>(1, steps / 2), before_last_fifth(steps), steps};
    }
    plan.options_text = options_.effective();
    return plan;
  }

  PenaltySearch penalty_search(const Contestant& contestant, double first_guess) const {
    const double rate = rates_.at(contestant);
    return PenaltySearch({.first_guess = first_guess}, [this, contestant, rate](std::span<const double> penalties) {
      std::vector<RunPlan> plans;
      for (const double penalty : penalties) {
        plans.push_back(plan(contestant, sweep_.trial_l0, penalty, rate, Purpose::penalty_trial));
      }
      std::vector<double> l0;
      for (const RunResult& result : train_runs(context_, plans, label_of(plans, "penalties"))) {
        if (result.diverged) throw NotFinite(*result.diverged);
        l0.push_back(result.points.back().validation.l0);
      }
      return l0;
    });
  }

  void tune_learning_rates() {
    std::map<std::pair<size_t, double>, double> l0_at;  // of contestant and rate
    const auto errors_of = [&](std::span<const LearningRateTrial> round) {
      std::vector<RunPlan> plans;
      for (const auto& [index, rate] : round) {
        const Contestant& contestant = sweep_.contestants[index];
        const auto found = trial_penalties_.find(contestant);
        const double penalty = found == trial_penalties_.end() ? 0.0 : found->second.penalty;
        plans.push_back(plan(contestant, sweep_.trial_l0, penalty, rate, Purpose::rate_trial));
      }
      const std::vector<RunResult> results = train_runs(context_, plans, label_of(plans, "learning rates"));
      std::vector<double> errors;
      for (size_t i = 0; i < results.size(); ++i) {
        if (results[i].diverged) {
          errors.push_back(std::numeric_limits<double>::infinity());  // an answer too
          continue;
        }
        const Metrics& validation = results[i].points.back().validation;
        errors.push_back(error_at(sweep_.trial_l0, validation.l0, validation.normalised_mse));
        l0_at[{round[i].contestant, round[i].learning_rate}] = validation.l0;
      }
      return errors;
    };
    const auto trials =
        search_learning_rates(sweep_.contestants.size(), sweep_.learning_rates, most_extensions, errors_of);
    for (size_t i = 0; i < trials.size(); ++i) {
      const Contestant& contestant = sweep_.contestants[i];
      const double best = trials[i].best();
      rates_[contestant] = best;
      if (const auto tried = trial_penalties_.find(contestant); tried != trial_penalties_.end()) {
        const auto& [penalty, trial_l0] = tried->second;
        if (const auto l0 = l0_at.find({i, best}); l0 != l0_at.end()) {
          whole_runs_[contestant].remember(sweep_.trial_l0, penalty, best == middle_rate() ? trial_l0 : 0, l0->second);
        }
      }
      fmt::print(stderr, "{}: learning rate {:.3g}; error at L0 {:g} by rate:", name_of(contestant), best,
                 sweep_.trial_l0);
      for (const auto& [rate, error] : trials[i].error) fmt::print(stderr, " {:.3g}: {:.4f}", rate, error);
      fmt::print(stderr, "\n");
    }
  }

  static std::string label_of(const std::vector<RunPlan>& plans, std::string_view what) {
    return plans.size() == 1 ? plans[0].label : fmt::format("{} {}", plans.size(), what);
  }

  uint64_t first_seed() const { return static_cast<uint64_t>(options_.get_integer("seed")); }

  /// Changes penalties whose runs missed their targets (WholeRunPenalties::correction). Returns the aims that changed.
  std::vector<Aimed> correct(std::vector<Aimed>& all, bool may_try) const {
    std::vector<Aimed> changed;
    for (Aimed& aimed : all) {
      if (facts_of(aimed.contestant.activation).chooses_k) continue;
      const auto penalty = whole_runs_.at(aimed.contestant).correction(aimed.target, aimed.penalty, may_try);
      if (!penalty) continue;
      aimed.penalty = *penalty;
      aimed.trial_l0 = 0;
      changed.push_back(aimed);
    }
    return changed;
  }

  /// Trains the whole runs of one seed, together; two aims may come to the same run.
  void run_together(std::vector<ResultRow>& rows, const std::vector<Aimed>& aimed, int64_t seed) {
    if (aimed.empty()) return;
    std::vector<RunPlan> plans;
    std::vector<size_t> plan_of;
    for (const Aimed& one : aimed) {
      RunPlan next = plan(one.contestant, one.target, one.penalty, rates_.at(one.contestant), Purpose::result, seed);
      const auto same =
          std::find_if(plans.begin(), plans.end(), [&](const RunPlan& p) { return p.folder == next.folder; });
      plan_of.push_back(static_cast<size_t>(same - plans.begin()));
      if (same == plans.end()) plans.push_back(std::move(next));
    }
    const std::vector<RunResult> results = train_runs(context_, plans, label_of(plans, "runs"));
    for (size_t i = 0; i < aimed.size(); ++i) {
      const RunResult& result = results[plan_of[i]];
      if (result.diverged) throw NotFinite(*result.diverged);
      replace(rows, rows_of(plans[plan_of[i]], aimed[i].target, result));
      if (seed == 0 && !facts_of(aimed[i].contestant.activation).chooses_k) {
        whole_runs_[aimed[i].contestant].remember(aimed[i].target, aimed[i].penalty, aimed[i].trial_l0,
                                                  result.points.back().validation.l0);
      }
    }
    write(rows);
  }

  /// A target's rows are those of its last run.
  static void replace(std::vector<ResultRow>& rows, const std::vector<ResultRow>& run) {
    std::erase_if(rows, [&](const ResultRow& row) {
      return row.activation == run[0].activation && row.target_l0 == run[0].target_l0 && row.seed == run[0].seed;
    });
    rows.insert(rows.end(), run.begin(), run.end());
  }

  /// The line of a dense code: principal components, as many as the targets say.
  std::vector<ResultRow> principal_component_rows() const {
    std::vector<int64_t> components;
    for (const double target : sweep_.target_l0) {
      if (target <= static_cast<double>(context_.data.train.width()))
        components.push_back(static_cast<int64_t>(target));
    }
    const std::vector<double> errors =
        principal_component_errors(context_.data.train, context_.data.test, context_.statistics.mean, components);
    std::vector<ResultRow> rows;
    for (size_t i = 0; i < components.size(); ++i) {
      rows.push_back(ResultRow::of_principal_components(components[i], context_.data.train.width(), errors[i]));
      rows.back().seed = first_seed();
    }
    return rows;
  }

  /// How alike the dictionaries of the whole runs are that differ in their seed.
  void compare_seeds(const std::vector<ResultRow>& rows) const {
    std::vector<SeedGroup> groups;
    for (const Contestant& contestant : sweep_.contestants) {
      for (const double target : sweep_.target_l0) {
        SeedGroup group{name_of(contestant), target, {}};
        for (int64_t seed = 0; seed < sweep_.seeds; ++seed) {
          const auto row = std::find_if(rows.begin(), rows.end(), [&](const ResultRow& r) {
            return r.activation == group.activation && r.target_l0 == target && r.part == 1 &&
                   r.seed == first_seed() + static_cast<uint64_t>(seed);
          });
          if (row == rows.end()) continue;
          group.autoencoders.push_back(fmt::format("{}/{}/autoencoder.safetensors", sweep_.folder, row->run));
        }
        groups.push_back(group);
      }
    }
    fmt::print(stderr, "\n{}", write_seed_agreement(sweep_.folder + "/seeds.csv", groups, context_.device));
  }

  void write(const std::vector<ResultRow>& rows) const {
    std::vector<ResultRow> sorted = rows;
    std::sort(sorted.begin(), sorted.end(), [](const ResultRow& a, const ResultRow& b) {
      return std::tie(a.activation, a.target_l0, a.seed, a.part) < std::tie(b.activation, b.target_l0, b.seed, b.part);
    });
    write_results_csv(sweep_.folder + "/results.csv", sorted);
    draw_plot(sweep_.folder + "/mse_versus_l0", context_.data.subject(), sorted);
  }

  const RunContext& context_;
  const Options& options_;
  const SweepOptions& sweep_;
  std::map<Contestant, double> rates_;
  std::map<Contestant, PenaltyTrial> trial_penalties_;  // for which learning rates are tried
  std::map<Contestant, PenaltySearch> searches_;
  std::map<Contestant, WholeRunPenalties> whole_runs_;  // of the first seed
};

}  // namespace

std::vector<ResultRow> run_sweep(const RunContext& context, const Options& options, const SweepOptions& sweep) {
  return Sweep(context, options, sweep).go();
}

}  // namespace sae
