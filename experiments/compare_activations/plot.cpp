#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include "experiments/common/gnuplot.h"
#include "experiments/common/training_run.h"
#include "experiments/compare_activations/results.h"

namespace sae {
namespace {

/// With more curves than these, those at half of the tokens are left to results.csv.
constexpr size_t most_with_halves = 3;

/// The runs of one target as a point: means over the seeds, the band between the lowest and the highest error.
struct PlotPoint {
  double l0 = 0, mse = 0, lowest = std::numeric_limits<double>::max(), highest = 0;
  bool moving = false;
};

std::vector<PlotPoint> points_of(const std::vector<ResultRow>& rows, const std::string& activation, bool whole) {
  std::map<double, std::vector<const ResultRow*>> by_target;
  for (const ResultRow& row : rows) {
    if (row.activation == activation && (row.part == 1) == whole) by_target[row.target_l0].push_back(&row);
  }
  std::vector<PlotPoint> points;
  for (const auto& [target, runs] : by_target) {
    PlotPoint point;
    for (const ResultRow* run : runs) {
      point.l0 += run->l0 / static_cast<double>(runs.size());
      point.mse += run->normalised_mse / static_cast<double>(runs.size());
      point.lowest = std::min(point.lowest, run->normalised_mse);
      point.highest = std::max(point.highest, run->normalised_mse);
      point.moving = point.moving || run->moving > still_moving;
    }
    points.push_back(point);
  }
  std::sort(points.begin(), points.end(), [](const PlotPoint& x, const PlotPoint& y) { return x.l0 < y.l0; });
  return points;
}

/// Data blocks inside the script, so that the figure can be redrawn from one file: L0, error, the band's two ends, and
/// the error once more where the point is filled, or where it is hollow because its run still moved.
std::string data_block(const std::string& name, const std::vector<PlotPoint>& points) {
  std::string text = name + " << EOD\n";
  for (const PlotPoint& p : points) {
    const std::string error = fmt::format("{}", p.mse);
    text += fmt::format("{} {} {} {} {} {}\n", p.l0, error, p.lowest, p.highest, p.moving ? "NaN" : error,
                        p.moving ? error : "NaN");
  }
  return text + "EOD\n";
}

std::string script(const std::string& path, const std::string& title, const std::vector<ResultRow>& rows) {
  std::set<std::string> activations;
  PlotRange l0, mse;
  for (const ResultRow& row : rows) {
    activations.insert(row.activation);
    l0.add(row.l0);
    mse.add(row.normalised_mse);
  }
  const bool few = activations.size() - activations.count("pca") <= most_with_halves;
  std::string blocks, curves;
  bool hollow_explained = false;
  int index = -1;
  for (const std::string& activation : activations) {
    ++index;
    const std::string colour = plot_colour(static_cast<size_t>(index));
    const std::string whole = fmt::format("$whole{}", index), half = fmt::format("$half{}", index);
    const std::vector<PlotPoint> points = points_of(rows, activation, true),
                                 halves = points_of(rows, activation, false);
    const auto any = [&](auto&& condition) { return std::any_of(points.begin(), points.end(), condition); };
    const auto add = [&](const std::string& data, const std::string& style, const std::string& label) {
      curves += fmt::format("{}{} {} lc rgb '{}' {}", curves.empty() ? "" : ", \\\n     ", data, style, colour, label);
    };
    blocks += data_block(whole, points);
    if (activation == "pca") {  // a dense code: a line to compare with, no contestant
      curves += fmt::format("{}{} using 1:2 with lines lw 1 dt 3 lc rgb '#555555' title 'PCA, L0 components'",
                            curves.empty() ? "" : ", \\\n     ", whole);
      continue;
    }
    add(whole, "using 1:2 with lines lw 2", fmt::format("title '{}'", activation));
    if (any([](const PlotPoint& p) { return p.lowest < p.highest; })) {
      add(whole, "using 1:3:4 with filledcurves fillstyle transparent solid 0.2 noborder", "notitle");
    }
    if (any([](const PlotPoint& p) { return !p.moving; })) add(whole, "using 1:5 with points pt 7 ps 0.9", "notitle");
    if (any([](const PlotPoint& p) { return p.moving; })) {
      add(whole, "using 1:6 with points pt 6 ps 1.1", hollow_explained ? "notitle" : "title 'still moving'");
      hollow_explained = true;
    }
    if (few && !halves.empty()) {
      blocks += data_block(half, halves);
      add(half, "using 1:2 with linespoints pt 2 ps 0.7 lw 1 dt 2",
          fmt::format("title '{}, half the tokens'", activation));
    }
  }
  const std::string name = std::filesystem::path(path).filename();
  return fmt::format(
      "# gnuplot {0}.gp draws {0}.svg and {0}.png\n{1}"
      "set title {2} noenhanced\nset xlabel 'L0 (mean number of active latents)'\n"
      "set ylabel 'normalised MSE (1 = predicting the mean)'\n"
      "set logscale xy\nset grid\nset key {6}\nset xrange {4}\nset yrange {5}\n"
      "set xtics {7}\nset ytics {8}\n{3}",
      name, blocks, gnuplot_quoted(title), gnuplot_outputs(name, "plot " + curves, 800, 560), l0.logarithmic(),
      mse.logarithmic(), few ? "top right" : "outside right top", l0_tics, mse_tics);
}

}  // namespace

void draw_plot(const std::string& path, const std::string& title, const std::vector<ResultRow>& rows) {
  run_gnuplot(path, script(path, title, rows));
}

}  // namespace sae
