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

namespace sae {

void declare_sweep_options(Options& options) {
  options.group("Sweep")
      .text("activations", "topk,relu", "A,B", "which activations to compare")
      .text("target-l0", "8,16,32,64,128", "L0,L0", "sparsities: topk's k, and what relu's penalties aim at")
      .text("lr-grid", "RATE,RATE",
            "learning rates to try, ascending; the best at an edge extends the grid "
            "[default: the paper's rule for the size, times 2, 4 and 8: batches are small here]")
      .number("trial-l0", 32, "L0", "the sparsity at which learning rates are tried")
      .number("trial-penalty", 0.2, "WEIGHT", "relu's first guess of the penalty for --trial-l0");
}

SweepOptions sweep_options(const Options& options, const ActivationData& data) {
  SweepOptions sweep;
  std::string names = options.get_text("activations");
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    sweep.activations.push_back(parse_activation(names.substr(begin, end - begin)));
    begin = end + 1;
  }
  sweep.target_l0 = options.get_numbers("target-l0");
  for (const double target : sweep.target_l0) {
    CHECK(target >= 1 && target == std::floor(target), "--target-l0: expected whole numbers from 1, got {}", target);
  }
  if (options.given("lr-grid")) {
    sweep.learning_rates = options.get_numbers("lr-grid");
  } else {
    const double rule = default_learning_rate(options.get_integer("latents"));
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
/// A trial trains on this part of the tokens.
constexpr int64_t trial_divisor = 4;
/// |log(L0 / target)| of a whole run with a penalty beyond which the target gets a second one.
constexpr double most_miss = 0.2;

class Sweep {
 public:
  Sweep(const RunContext& context, const Options& options, const SweepOptions& sweep)
      : context_(context), options_(options), sweep_(sweep) {}

  std::vector<ResultRow> go() {
    for (const Activation activation : sweep_.activations) rates_[activation] = middle_rate();
    if (compares(Activation::relu)) {
      penalty_at_trial_l0_ = penalty_search(sweep_.trial_penalty).find({&sweep_.trial_l0, 1})[0].penalty;
    }
    tune_learning_rates();
    PenaltySearch search = penalty_search(penalty_at_trial_l0_);
    std::vector<ResultRow> rows;
    for (const std::vector<double>& targets : waves()) {
      std::vector<PenaltyTrial> trials;
      if (compares(Activation::relu)) trials = search.find(aims(targets));
      run_wave(rows, sweep_.activations, targets, trials);
      write(rows);
      const std::vector<double> missed = missed_targets(rows, targets);
      if (missed.empty()) continue;
      run_wave(rows, {Activation::relu}, missed, search.find(aims(missed)));
      write(rows);
    }
    return rows;
  }

 private:
  bool compares(Activation activation) const {
    return std::find(sweep_.activations.begin(), sweep_.activations.end(), activation) != sweep_.activations.end();
  }
  double middle_rate() const { return sweep_.learning_rates[sweep_.learning_rates.size() / 2]; }

  /// L0 goes on falling after a quarter of the tokens, the more the denser it is. By how much shows in the whole runs:
  /// a trial aims higher by what the run of the nearest target lost.
  std::vector<double> aims(const std::vector<double>& targets) const {
    std::vector<double> aims;
    for (const double target : targets) {
      const auto nearest = std::min_element(drifts_.begin(), drifts_.end(), [&](const auto& a, const auto& b) {
        return std::abs(std::log(a.first / target)) < std::abs(std::log(b.first / target));
      });
      aims.push_back(nearest == drifts_.end() ? target : target / nearest->second);
    }
    return aims;
  }

  /// The targets in the order of their runs: the one nearest to the trials' sparsity first, then one above and one
  /// below at a time. The curve is there early, its ends last, and each wave has neighbours from which to aim.
  std::vector<std::vector<double>> waves() const {
    std::vector<double> sorted = sweep_.target_l0;
    std::sort(sorted.begin(), sorted.end());
    const auto middle = std::min_element(sorted.begin(), sorted.end(), [&](double a, double b) {
      return std::abs(std::log(a / sweep_.trial_l0)) < std::abs(std::log(b / sweep_.trial_l0));
    });
    std::vector<std::vector<double>> waves = {{*middle}};
    const std::ptrdiff_t below = middle - sorted.begin(), above = sorted.end() - middle - 1;
    for (std::ptrdiff_t distance = 1; distance <= std::max(below, above); ++distance) {
      std::vector<double>& wave = waves.emplace_back();
      if (distance <= below) wave.push_back(*(middle - distance));
      if (distance <= above) wave.push_back(*(middle + distance));
    }
    return waves;
  }

  RunPlan plan(Activation activation, double target, double penalty, double rate, bool trial) const {
    RunPlan plan;
    plan.model = model_options(options_, context_.data.train.width(), activation);
    if (activation == Activation::topk) plan.model.k = static_cast<int64_t>(target);
    if (activation == Activation::relu) plan.model.l1 = penalty;
    const int64_t tokens = trial ? sweep_.tokens / trial_divisor : sweep_.tokens;
    plan.training = training_options(options_, plan.model, tokens, context_.statistics.variance);
    plan.training.learning_rate = rate;
    const std::string strength =
        activation == Activation::topk ? fmt::format("k{}", plan.model.k) : fmt::format("l1-{:.5g}", penalty);
    const std::string name =
        fmt::format("{}{}-{}-lr{:.3g}", trial ? "trial-" : "", name_of(activation), strength, rate);
    plan.folder = fmt::format("{}/runs/{}", sweep_.folder, name);
    plan.label = name;
    plan.resume = true;
    plan.test = !trial;
    plan.evaluate_after = {plan.training.steps};
    if (!trial) plan.evaluate_after = {std::max<int64_t>(1, plan.training.steps / 2), plan.training.steps};
    plan.options_text = options_.effective();
    return plan;
  }

  PenaltySearch penalty_search(double first_guess) const {
    const double rate = compares(Activation::relu) ? rates_.at(Activation::relu) : 0;
    return PenaltySearch({.first_guess = first_guess}, [this, rate](std::span<const double> penalties) {
      std::vector<RunPlan> plans;
      for (const double penalty : penalties) {
        plans.push_back(plan(Activation::relu, sweep_.trial_l0, penalty, rate, true));
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
    const auto objectives = [&](std::span<const LearningRateTrial> round) {
      std::vector<RunPlan> plans;
      for (const auto& [contestant, rate] : round) {
        const Activation activation = sweep_.activations[contestant];
        const double penalty = activation == Activation::relu ? penalty_at_trial_l0_ : 0.0;
        plans.push_back(plan(activation, sweep_.trial_l0, penalty, rate, true));
      }
      const std::vector<RunResult> results = train_runs(context_, plans, label_of(plans, "learning rates"));
      std::vector<double> losses;
      for (size_t i = 0; i < results.size(); ++i) {
        losses.push_back(results[i].diverged ? std::numeric_limits<double>::infinity()  // an answer too
                                             : objective(plans[i], results[i].points.back().validation));
      }
      return losses;
    };
    const auto trials =
        search_learning_rates(sweep_.activations.size(), sweep_.learning_rates, most_extensions, objectives);
    for (size_t i = 0; i < trials.size(); ++i) {
      const Activation activation = sweep_.activations[i];
      rates_[activation] = trials[i].best();
      fmt::print(stderr, "{}: learning rate {:.3g}; tried", name_of(activation), trials[i].best());
      for (const auto& [rate, loss] : trials[i].loss) fmt::print(stderr, " {:.3g}: {:.4f}", rate, loss);
      fmt::print(stderr, "\n");
    }
  }

  static double objective(const RunPlan& plan, const Metrics& metrics) {
    return metrics.normalised_mse + (plan.model.activation == Activation::relu ? plan.model.l1 * metrics.l1 : 0.0);
  }

  static std::string label_of(const std::vector<RunPlan>& plans, std::string_view what) {
    return plans.size() == 1 ? plans[0].label : fmt::format("{} {}", plans.size(), what);
  }

  /// The targets from which relu's run ended too far: their drift is known now, so a second run comes nearer.
  static std::vector<double> missed_targets(const std::vector<ResultRow>& rows, const std::vector<double>& targets) {
    std::vector<double> missed;
    for (const ResultRow& row : rows) {
      const bool asked = std::find(targets.begin(), targets.end(), row.target_l0) != targets.end();
      if (asked && row.l1 > 0 && row.part == 1 && miss(row) > most_miss) missed.push_back(row.target_l0);
    }
    return missed;
  }
  static double miss(const ResultRow& row) { return std::abs(std::log(std::max(row.l0, 0.05) / row.target_l0)); }

  /// Trains the whole runs of these activations at these targets; trials are relu's, one for each target.
  void run_wave(std::vector<ResultRow>& rows, const std::vector<Activation>& activations,
                const std::vector<double>& targets, const std::vector<PenaltyTrial>& trials) {
    std::vector<RunPlan> plans;
    std::vector<size_t> target_of;
    for (size_t i = 0; i < targets.size(); ++i) {
      for (const Activation activation : activations) {
        const double penalty = activation == Activation::relu ? trials[i].penalty : 0.0;
        plans.push_back(plan(activation, targets[i], penalty, rates_.at(activation), false));
        target_of.push_back(i);
      }
    }
    const std::vector<RunResult> results = train_runs(context_, plans, label_of(plans, "runs"));
    for (size_t i = 0; i < plans.size(); ++i) {
      if (results[i].diverged) throw NotFinite(*results[i].diverged);
      keep_nearer(rows, rows_of(plans[i], targets[target_of[i]], results[i]));
      if (plans[i].model.activation != Activation::relu) continue;
      const double l0 = results[i].points.back().validation.l0;
      drifts_[targets[target_of[i]]] = std::clamp(l0 / std::max(trials[target_of[i]].l0, 0.1), 0.2, 5.0);
    }
  }

  /// Of two runs for one target, the rows of the one that ended nearer to it are kept.
  static void keep_nearer(std::vector<ResultRow>& rows, const std::vector<ResultRow>& run) {
    const auto same = [&](const ResultRow& row) {
      return row.activation == run[0].activation && row.target_l0 == run[0].target_l0;
    };
    const auto old = std::find_if(rows.rbegin(), rows.rend(), same);
    if (old != rows.rend() && miss(*old) <= miss(run.back())) return;
    std::erase_if(rows, same);
    rows.insert(rows.end(), run.begin(), run.end());
  }

  static std::vector<ResultRow> rows_of(const RunPlan& whole, double target, const RunResult& result) {
    std::vector<ResultRow> rows;
    const Activation activation = whole.model.activation;
    for (const RunPoint& point : result.points) {
      ResultRow row;
      row.activation = name_of(activation);
      row.target_l0 = target;
      row.latents = whole.model.latents;
      row.k = activation == Activation::topk ? whole.model.k : 0;
      row.l1 = whole.model.l1;
      row.learning_rate = whole.training.learning_rate;
      row.seed = whole.training.seed;
      row.tokens = point.tokens;
      row.part = point.step == whole.training.steps ? 1 : 0.5;
      row.weights = point.averaged ? "average" : "raw";
      row.l0 = point.test->l0;
      row.normalised_mse = point.test->normalised_mse;
      row.per_row_mse = point.test->per_row_mse;
      row.explained_variance = point.test->explained_variance;
      row.l1_norm = point.test->l1;
      row.dead_fraction = point.test->dead_fraction;
      row.validation_mse = point.validation.normalised_mse;
      row.seconds = point.seconds;
      rows.push_back(row);
    }
    fmt::print(stderr, "{} at target L0 {}: test NMSE {:.4f} at L0 {:.2f}\n", name_of(activation), target,
               rows.back().normalised_mse, rows.back().l0);
    return rows;
  }

  void write(const std::vector<ResultRow>& rows) const {
    std::vector<ResultRow> sorted = rows;
    std::sort(sorted.begin(), sorted.end(), [](const ResultRow& a, const ResultRow& b) {
      return std::tie(a.activation, a.target_l0, a.part) < std::tie(b.activation, b.target_l0, b.part);
    });
    write_results_csv(sweep_.folder + "/results.csv", sorted);
    draw_plot(sweep_.folder + "/mse_versus_l0", context_.data.subject(), sorted);
  }

  const RunContext& context_;
  const Options& options_;
  const SweepOptions& sweep_;
  std::map<Activation, double> rates_;
  double penalty_at_trial_l0_ = 0;
  std::map<double, double> drifts_;  // by target: L0 of relu's whole run over that of its trial
};

}  // namespace

std::vector<ResultRow> run_sweep(const RunContext& context, const Options& options, const SweepOptions& sweep) {
  return Sweep(context, options, sweep).go();
}

}  // namespace sae
