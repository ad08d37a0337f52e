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

class Sweep {
 public:
  Sweep(const RunContext& context, const Options& options, const SweepOptions& sweep)
      : context_(context), options_(options), sweep_(sweep) {}

  std::vector<ResultRow> go() {
    for (const Activation activation : sweep_.activations) rates_[activation] = middle_rate();
    if (compares(Activation::relu)) {
      penalty_at_trial_l0_ = penalty_search(sweep_.trial_penalty).find(sweep_.trial_l0).penalty;
    }
    tune_learning_rates();
    PenaltySearch search = penalty_search(penalty_at_trial_l0_);
    // L0 goes on falling after a quarter of the tokens, the more the denser it is. By how much shows in the whole runs,
    // and a trial aims higher by what the nearest target's run lost.
    std::map<double, double> drifts;  // by target
    std::vector<ResultRow> rows;
    for (const double target : nearest_first()) {
      for (const Activation activation : sweep_.activations) {
        const bool relu = activation == Activation::relu;
        const PenaltyTrial trial = relu ? search.find(target / drift_near(drifts, target)) : PenaltyTrial{};
        const double l0 = add_rows(rows, activation, target, trial.penalty);
        if (relu) drifts[target] = std::clamp(l0 / std::max(trial.l0, 0.1), 0.2, 5.0);
        write(rows);
      }
    }
    return rows;
  }

 private:
  bool compares(Activation activation) const {
    return std::find(sweep_.activations.begin(), sweep_.activations.end(), activation) != sweep_.activations.end();
  }
  double middle_rate() const { return sweep_.learning_rates[sweep_.learning_rates.size() / 2]; }

  /// L0 of a whole run over that of its trial, from the run whose target is nearest; 1 before there is one.
  static double drift_near(const std::map<double, double>& drifts, double target) {
    const auto nearest = std::min_element(drifts.begin(), drifts.end(), [&](const auto& a, const auto& b) {
      return std::abs(std::log(a.first / target)) < std::abs(std::log(b.first / target));
    });
    return nearest == drifts.end() ? 1.0 : nearest->second;
  }

  /// The targets, those nearest to the trials' sparsity first: the curve is there early, and its ends last.
  std::vector<double> nearest_first() const {
    std::vector<double> targets = sweep_.target_l0;
    std::stable_sort(targets.begin(), targets.end(), [&](double a, double b) {
      return std::abs(std::log(a / sweep_.trial_l0)) < std::abs(std::log(b / sweep_.trial_l0));
    });
    return targets;
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

  RunPoint try_run(Activation activation, double penalty, double rate) const {
    const RunPlan trial = plan(activation, sweep_.trial_l0, penalty, rate, true);
    return train_run(context_, trial).points.back();
  }

  PenaltySearch penalty_search(double first_guess) const {
    const double rate = compares(Activation::relu) ? rates_.at(Activation::relu) : 0;
    return PenaltySearch({.first_guess = first_guess}, [this, rate](double penalty) {
      return try_run(Activation::relu, penalty, rate).validation.l0;
    });
  }

  void tune_learning_rates() {
    const auto objective = [&](size_t contestant, double rate) {
      const Activation activation = sweep_.activations[contestant];
      const double penalty = activation == Activation::relu ? penalty_at_trial_l0_ : 0.0;
      try {
        const Metrics metrics = try_run(activation, penalty, rate).validation;
        return metrics.normalised_mse + penalty * metrics.l1;
      } catch (const NotFinite&) {
        return std::numeric_limits<double>::infinity();  // a rate at which training breaks is an answer
      }
    };
    const auto trials =
        search_learning_rates(sweep_.activations.size(), sweep_.learning_rates, most_extensions, objective);
    for (size_t i = 0; i < trials.size(); ++i) {
      const Activation activation = sweep_.activations[i];
      rates_[activation] = trials[i].best();
      fmt::print(stderr, "{}: learning rate {:.3g}; tried", name_of(activation), trials[i].best());
      for (const auto& [rate, loss] : trials[i].loss) fmt::print(stderr, " {:.3g}: {:.4f}", rate, loss);
      fmt::print(stderr, "\n");
    }
  }

  /// Trains the whole run; returns its L0 on validation data.
  double add_rows(std::vector<ResultRow>& rows, Activation activation, double target, double penalty) const {
    const RunPlan whole = plan(activation, target, penalty, rates_.at(activation), false);
    const RunResult result = train_run(context_, whole);
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
    return result.points.back().validation.l0;
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
};

}  // namespace

std::vector<ResultRow> run_sweep(const RunContext& context, const Options& options, const SweepOptions& sweep) {
  return Sweep(context, options, sweep).go();
}

}  // namespace sae
