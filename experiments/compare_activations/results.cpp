#include "experiments/compare_activations/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/error.h"
#include "engine/files/atomic_file.h"
#include "experiments/common/csv_table.h"

namespace sae {

ResultRow ResultRow::of_principal_components(int64_t components, int64_t width, double normalised_mse) {
  constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  ResultRow row;
  row.activation = std::string("pca");
  row.target_l0 = row.l0 = static_cast<double>(components);
  row.latents = width;
  row.k = components;
  row.weights = std::string("-");
  row.normalised_mse = normalised_mse;
  row.per_row_mse = row.explained_variance = row.l1_norm = row.validation_mse = unknown;
  return row;
}

void write_results_csv(const std::string& path, const std::vector<ResultRow>& rows) {
  std::string text =
      "activation,target_l0,latents,k,penalty,learning_rate,seed,tokens,part,weights,l0,normalised_mse,per_row_mse,"
      "explained_variance,l1_norm,dead_fraction,validation_mse,moving,seconds,run\n";
  for (const ResultRow& r : rows) {
    text += fmt::format(
        "{},{},{},{},{:.6g},{:.6g},{},{},{},{},{:.4f},{:.6f},{:.6f},{:.6f},{:.5f},{:.5f},{:.6f},{:.4f},{:.1f},{}\n",
        r.activation, r.target_l0, r.latents, r.k, r.penalty, r.learning_rate, r.seed, r.tokens, r.part, r.weights,
        r.l0, r.normalised_mse, r.per_row_mse, r.explained_variance, r.l1_norm, r.dead_fraction, r.validation_mse,
        r.moving, r.seconds, r.run.empty() ? "-" : r.run);
  }
  write_file(path, text, IfExists::replace);
}

std::vector<ExpectedPoint> read_expected(const std::string& path) {
  const CsvTable table(path);
  std::vector<ExpectedPoint> points;
  for (size_t row = 0; row < table.rows(); ++row) {
    const auto number = [&](std::string_view column) { return table.number(row, column); };
    points.push_back({table.text(row, "activation"), number("target_l0"), number("l0"), number("l0_tolerance"),
                      number("normalised_mse"), number("mse_tolerance")});
  }
  return points;
}

Verdict compare_with_expected(const std::vector<ResultRow>& rows, const std::vector<ExpectedPoint>& expected) {
  Verdict verdict{"", true};
  verdict.table = fmt::format("{:<10} {:>9}  {:>8} {:>18}  {:>8} {:>18}  {}\n", "activation", "target L0", "L0",
                              "expected", "NMSE", "expected", "");
  int wrong = 0, compared = 0;
  for (const ResultRow& row : rows) {
    if (row.part != 1) continue;
    const auto match = std::find_if(expected.begin(), expected.end(), [&](const ExpectedPoint& point) {
      return point.activation == row.activation && point.target_l0 == row.target_l0;
    });
    std::string l0 = "-", mse = "-", word = "no expectation";
    if (match != expected.end()) {
      const bool right = std::abs(row.l0 - match->l0) <= match->l0_tolerance &&
                         std::abs(row.normalised_mse - match->normalised_mse) <= match->mse_tolerance;
      l0 = fmt::format("{:.1f} +- {:.1f}", match->l0, match->l0_tolerance);
      mse = fmt::format("{:.4f} +- {:.4f}", match->normalised_mse, match->mse_tolerance);
      word = right ? "as expected" : "DIFFERS";
      ++compared;
      wrong += !right;
    }
    verdict.table += fmt::format("{:<10} {:>9}  {:>8.2f} {:>18}  {:>8.4f} {:>18}  {}\n", row.activation, row.target_l0,
                                 row.l0, l0, row.normalised_mse, mse, word);
  }
  if (expected.empty()) {
    verdict.right = false;
    verdict.table += "no verdict: nothing is known of what this setting should give\n";
    return verdict;
  }
  verdict.right = wrong == 0 && compared == static_cast<int>(expected.size());
  if (verdict.right) {
    verdict.table += fmt::format("verdict: right, all {} points lie within their tolerances\n", compared);
  } else if (wrong > 0) {
    verdict.table += fmt::format("verdict: {} of {} points lie outside their tolerances\n", wrong, compared);
  } else {
    verdict.table += fmt::format("verdict: only {} of {} expected points were obtained\n", compared, expected.size());
  }
  return verdict;
}

}  // namespace sae
