#include "experiments/refine_activations/shrinkage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "experiments/common/gnuplot.h"

namespace sae {

Shrinkage measure_shrinkage(const std::string& name, const Autoencoder& autoencoder, const SplitRows& split,
                            int64_t rows, const DataStatistics& statistics) {
  constexpr int64_t batch = 1024;
  const int64_t latents = autoencoder.options().latents;
  MetricsSum before(statistics.mean, latents), after(statistics.mean, latents);
  Shrinkage result{name, autoencoder.options(), {}, {}, 0, 0, std::vector<double>(bin_count)};
  double active = 0, sum_before = 0, sum_after = 0;
  for (int64_t begin = 0; begin < rows; begin += batch) {
    const Tensor x = split.range(begin, std::min(rows, begin + batch), autoencoder.options().normalisation);
    const Value encoded = encode(autoencoder, x);
    const Value refined = refine(autoencoder, x, encoded);
    before.add(x, encoded, decode(autoencoder, encoded));
    after.add(x, refined, decode(autoencoder, refined));
    const std::vector<float> from = stored_values(encoded).to_vector<float>();
    const std::vector<float> to = stored_values(refined).to_vector<float>();
    for (size_t e = 0; e < from.size(); ++e) {
      if (!(from[e] > 0)) continue;
      const double old = static_cast<double>(from[e]), now = static_cast<double>(to[e]);
      active += 1;
      sum_before += old;
      sum_after += now;
      result.raised += now > old ? 1 : 0;
      const double bin = std::floor(std::min(now / old, 1e6) / bin_width);  // refined / encoded - 1, counted from -1
      result.bins[std::min(bin_count - 1, static_cast<size_t>(bin))] += 1;
    }
  }
  result.before = before.result();
  result.after = after.result();
  if (active > 0) {
    result.raised /= active;
    result.mean_change = sum_after / sum_before - 1;
    for (double& bin : result.bins) bin /= active;
  }
  return result;
}

void write_shrinkage_csv(const std::string& path, const std::vector<Shrinkage>& all) {
  std::string text = "name,activation,latents,k,penalty,rows,l0,l0_after,nmse_before,nmse_after,mean_change,raised";
  for (size_t i = 0; i < bin_count; ++i) text += fmt::format(",from_{:.2f}", -1 + bin_width * static_cast<double>(i));
  text += "\n";
  for (const Shrinkage& one : all) {
    text += fmt::format("{},{},{},{},{:.6g},{},{:.4f},{:.4f},{:.6f},{:.6f},{:.6f},{:.6f}", one.name,
                        name_of(one.model.activation), one.model.latents,
                        facts_of(one.model.activation).chooses_k ? one.model.k : 0, one.model.penalty, one.before.rows,
                        one.before.l0, one.after.l0, one.before.normalised_mse, one.after.normalised_mse,
                        one.mean_change, one.raised);
    for (const double share : one.bins) text += fmt::format(",{:.6f}", share);
    text += "\n";
  }
  write_file(path, text, IfExists::replace);
}

std::string shrinkage_table(const std::vector<Shrinkage>& all) {
  std::string text = fmt::format("{:<30} {:>8} {:>8} {:>8} {:>12} {:>8}\n", "autoencoder", "L0", "NMSE", "refined",
                                 "mean change", "raised");
  for (const Shrinkage& one : all) {
    text += fmt::format("{:<30} {:>8.2f} {:>8.4f} {:>8.4f} {:>+11.2f}% {:>7.1f}%\n", one.name, one.before.l0,
                        one.before.normalised_mse, one.after.normalised_mse, 100 * one.mean_change, 100 * one.raised);
  }
  return text;
}

void draw_shrinkage(const std::string& path, const std::string& title, const std::vector<Shrinkage>& all) {
  std::map<std::string, std::vector<const Shrinkage*>> curves;
  for (const Shrinkage& one : all) curves[std::string(name_of(one.model.activation))].push_back(&one);
  std::string blocks, errors, histograms;
  PlotRange l0, mse;
  for (const Shrinkage& one : all) {
    l0.add(one.before.l0);
    mse.add(one.before.normalised_mse);
    mse.add(one.after.normalised_mse);
  }
  size_t index = 0;
  for (auto& [activation, points] : curves) {
    std::sort(points.begin(), points.end(), [](const auto* a, const auto* b) { return a->before.l0 < b->before.l0; });
    blocks += fmt::format("$errors{} << EOD\n", index);
    for (const Shrinkage* one : points) {
      blocks += fmt::format("{} {} {}\n", one->before.l0, one->before.normalised_mse, one->after.normalised_mse);
    }
    const Shrinkage& middle = **std::min_element(points.begin(), points.end(), [](const auto* a, const auto* b) {
      return std::abs(std::log(a->before.l0 / 32)) < std::abs(std::log(b->before.l0 / 32));
    });
    blocks += fmt::format("EOD\n$histogram{} << EOD\n", index);
    for (size_t i = 0; i + 1 < bin_count; ++i) {  // the last holds everything above
      blocks += fmt::format("{:.3f} {:.6g}\n", -1 + bin_width * (static_cast<double>(i) + 0.5), middle.bins[i]);
    }
    blocks += "EOD\n";
    const char* colour = plot_colour(index);
    const char* comma = index == 0 ? "" : ", \\\n     ";
    errors += fmt::format(
        "{0}$errors{1} using 1:2 with linespoints pt 7 ps 0.8 lw 2 lc rgb '{2}' title '{3}', \\\n     "
        "$errors{1} using 1:3 with linespoints pt 2 ps 0.8 lw 1 dt 2 lc rgb '{2}' title '{3}, refined'",
        comma, index, colour, activation);
    histograms += fmt::format("{}$histogram{} using 1:2 with histeps lw 2 lc rgb '{}' title '{}, L0 {:.0f}'", comma,
                              index, colour, activation, middle.before.l0);
    ++index;
  }
  const std::string name = std::filesystem::path(path).filename();
  const std::string plot = fmt::format(
      "set multiplot layout 1,2 title {} noenhanced\n"
      "set logscale xy\nset xrange {}\nset yrange {}\nset xtics {}\nset ytics {}\n"
      "set xlabel 'L0 (mean number of active latents)'\nset ylabel 'normalised MSE'\nplot {}\n"
      "unset logscale\nset xrange [-1:2]\nset yrange [0:*]\nset xtics 0.5\nset ytics auto\n"
      "set xlabel 'refined / encoded - 1 of an active value'\n"
      "set ylabel 'share of the active values, in steps of {}'\nplot {}\nunset multiplot",
      gnuplot_quoted(title), l0.logarithmic(), mse.logarithmic(), l0_tics, mse_tics, errors, bin_width, histograms);
  run_gnuplot(path, fmt::format("# gnuplot {0}.gp draws {0}.svg and {0}.png\n{1}set grid\nset key top right\n{2}", name,
                                blocks, gnuplot_outputs(name, plot, 1100, 480)));
}

}  // namespace sae
