#include "experiments/compare_activations/run_rows.h"

#include <fmt/format.h>

#include "experiments/compare_activations/contestant.h"

namespace sae {

std::vector<ResultRow> rows_of(const RunPlan& whole, double target, const RunResult& result) {
  std::vector<ResultRow> rows;
  const Contestant contestant{whole.model.activation, whole.training.freeze_decoder};
  for (const RunPoint& point : result.points) {
    if (point.step == before_last_fifth(whole.training.steps) && point.step < whole.training.steps) continue;
    ResultRow row;
    row.activation = name_of(contestant);
    row.target_l0 = target;
    row.latents = whole.model.latents;
    row.k = facts_of(contestant.activation).chooses_k ? whole.model.k : 0;
    row.penalty = whole.model.penalty;
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
    row.run = "runs/" + whole.label;
    if (row.part == 1) row.moving = movement(result);
    rows.push_back(row);
  }
  fmt::print(stderr, "{} at target L0 {}: test NMSE {:.4f} at L0 {:.2f}\n", name_of(contestant), target,
             rows.back().normalised_mse, rows.back().l0);
  return rows;
}

}  // namespace sae
