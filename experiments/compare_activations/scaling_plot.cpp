#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "experiments/common/gnuplot.h"
#include "experiments/compare_activations/learning_rate_search.h"
#include "experiments/compare_activations/results.h"

namespace sae {

void draw_scaling(const std::string& path, const std::string& title, const std::vector<ResultRow>& rows) {
  std::map<std::pair<std::string, double>, std::map<int64_t, std::vector<double>>> curves;
  PlotRange latents, mse;
  std::set<int64_t> sizes;
  for (const ResultRow& row : rows) {
    if (row.part != 1 || row.activation == "pca") continue;
    const double error = error_at(row.target_l0, row.l0, row.normalised_mse);
    curves[{row.activation, row.target_l0}][row.latents].push_back(error);
    latents.add(static_cast<double>(row.latents));
    mse.add(error);
    sizes.insert(row.latents);
  }
  std::string blocks, plot, tics;
  size_t index = 0;
  for (const auto& [curve, points] : curves) {
    blocks += fmt::format("$curve{} << EOD\n", index);
    for (const auto& [size, errors] : points) {
      double mean = 0;
      for (const double error : errors) mean += error / static_cast<double>(errors.size());
      blocks += fmt::format("{} {}\n", size, mean);
    }
    blocks += "EOD\n";
    plot += fmt::format("{}$curve{} with linespoints pt 7 ps 0.9 lw 2 lc rgb '{}' title '{}, L0 {:g}'",
                        index == 0 ? "plot " : ", ", index, plot_colour(index), curve.first, curve.second);
    ++index;
  }
  for (const int64_t size : sizes) tics += fmt::format("{}{}", tics.empty() ? "" : ", ", size);
  const std::string name = std::filesystem::path(path).filename();
  run_gnuplot(path, fmt::format("# gnuplot {0}.gp draws {0}.svg and {0}.png\n{1}"
                                "set title {2} noenhanced\nset xlabel 'latents'\n"
                                "set ylabel 'normalised MSE at that L0 (1 = predicting the mean)'\n"
                                "set logscale xy\nset grid\nset key outside right top\nset xrange {3}\nset yrange {4}\n"
                                "set xtics ({5})\nset ytics {6}\n{7}",
                                name, blocks, gnuplot_quoted(title), latents.logarithmic(), mse.logarithmic(), tics,
                                mse_tics, gnuplot_outputs(name, plot, 800, 560)));
}

}  // namespace sae
