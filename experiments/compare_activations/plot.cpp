#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>

#include "experiments/common/gnuplot.h"
#include "experiments/compare_activations/results.h"

namespace sae {
namespace {

/// Data blocks inside the script, so that the figure can be redrawn from one file.
std::string data_block(const std::string& name, const std::vector<ResultRow>& rows, const std::string& activation,
                       bool whole) {
  std::vector<std::pair<double, double>> points;
  for (const ResultRow& row : rows) {
    if (row.activation == activation && (row.part == 1) == whole) points.emplace_back(row.l0, row.normalised_mse);
  }
  std::sort(points.begin(), points.end());
  std::string text = name + " << EOD\n";
  for (const auto& [l0, mse] : points) text += fmt::format("{} {}\n", l0, mse);
  return text + "EOD\n";
}

/// A range that leaves room around the points, also around a single one.
std::string padded_range(const std::vector<ResultRow>& rows, double ResultRow::*coordinate) {
  double low = std::numeric_limits<double>::max(), high = 0;
  for (const ResultRow& row : rows) {
    if (!(row.*coordinate > 0)) continue;  // a logarithmic axis has no place for it
    low = std::min(low, row.*coordinate);
    high = std::max(high, row.*coordinate);
  }
  return high > 0 ? fmt::format("[{}:{}]", low / 1.2, high * 1.2) : std::string("[1:10]");
}

std::string script(const std::string& path, const std::string& title, const std::vector<ResultRow>& rows) {
  const std::vector<std::string> colours = {"#0060ad", "#dd181f", "#2a8a3c", "#8a4fbf", "#b07000"};
  std::set<std::string> activations;
  for (const ResultRow& row : rows) activations.insert(row.activation);
  std::string blocks, curves;
  int index = 0;
  for (const std::string& activation : activations) {
    const std::string colour = colours[static_cast<size_t>(index) % colours.size()];
    const std::string whole = fmt::format("$whole{}", index), half = fmt::format("$half{}", index);
    const bool has_half = std::any_of(
        rows.begin(), rows.end(), [&](const ResultRow& row) { return row.activation == activation && row.part != 1; });
    blocks += data_block(whole, rows, activation, true);
    if (!curves.empty()) curves += ", \\\n     ";
    curves += fmt::format("{} with linespoints pt 7 ps 0.9 lw 2 lc rgb '{}' title '{}'", whole, colour, activation);
    if (has_half) {
      blocks += data_block(half, rows, activation, false);
      curves +=
          fmt::format(", \\\n     {} with linespoints pt 6 ps 0.8 lw 1 dt 2 lc rgb '{}' title '{}, half the tokens'",
                      half, colour, activation);
    }
    ++index;
  }
  const std::string name = std::filesystem::path(path).filename();
  return fmt::format(
      "# gnuplot {0}.gp draws {0}.svg and {0}.png\n{1}"
      "set title {2} noenhanced\nset xlabel 'L0 (mean number of active latents)'\n"
      "set ylabel 'normalised MSE (1 = predicting the mean)'\n"
      "set logscale xy\nset grid\nset key top right\nset xrange {4}\nset yrange {5}\n"
      "set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)\n"
      "set ytics (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1)\n"
      "{3}",
      name, blocks, gnuplot_quoted(title), gnuplot_outputs(name, "plot " + curves, 800, 560),
      padded_range(rows, &ResultRow::l0), padded_range(rows, &ResultRow::normalised_mse));
}

}  // namespace

void draw_plot(const std::string& path, const std::string& title, const std::vector<ResultRow>& rows) {
  run_gnuplot(path, script(path, title, rows));
}

}  // namespace sae
