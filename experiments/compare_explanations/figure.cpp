#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <map>
#include <utility>

#include "experiments/common/gnuplot.h"
#include "experiments/compare_explanations/comparison.h"

namespace sae {
namespace {

/// A point of the left panel: one subject by one method.
struct Series {
  std::string title;
  MeansInterval means;
  std::string colour;
  int point = 7;
};

std::string colour_of(const std::string& group) {
  const std::vector<std::string> groups = {"topk", "relu", "random", "channels"};
  const auto at = std::find(groups.begin(), groups.end(), group) - groups.begin();
  return plot_colour(static_cast<size_t>(at));
}

int point_of(const std::string& method) {
  return method == pattern_method ? 7 : method == paper_method ? 6 : method == token_method ? 4 : 8;
}

std::vector<Series> series_of(const std::vector<ResultLine>& lines) {
  std::vector<Series> series;
  for (const ResultLine& line : lines) {
    if (line.slice != "all" || line.threshold != 0) continue;
    series.push_back({line.subject + ", " + line.method, line.means, colour_of(line.group), point_of(line.method)});
  }
  return series;
}

std::string number(double value) { return std::isnan(value) ? "NaN" : fmt::format("{}", value); }

std::string point(double x, const Interval& interval) {
  return fmt::format("{} {} {} {}\n", x, number(interval.value), number(interval.low), number(interval.high));
}

/// Precision at 1, recall at 2, F1 at 3, the series beside each other.
void add_means(const std::vector<Series>& series, std::string& blocks, std::string& plots) {
  for (size_t i = 0; i < series.size(); ++i) {
    const double shift = 0.8 * ((static_cast<double>(i) + 0.5) / static_cast<double>(series.size()) - 0.5);
    const MeansInterval& means = series[i].means;
    blocks += fmt::format("$means{} << EOD\n{}{}{}EOD\n", i, point(1 + shift, means.precision),
                          point(2 + shift, means.recall), point(3 + shift, means.f1));
    plots +=
        fmt::format("{}$means{} with yerrorbars pt {} ps 0.8 lw 1.3 lc rgb '{}' title {} noenhanced",
                    i > 0 ? ", \\\n     " : "", i, series[i].point, series[i].colour, gnuplot_quoted(series[i].title));
  }
}

/// Precision (full) and recall (hollow) over density, of topk and relu.
void add_densities(const std::vector<ResultLine>& lines, const std::vector<double>& centres, std::string& blocks,
                   std::string& plots) {
  std::vector<std::string> subjects;
  for (const ResultLine& line : lines) {
    const bool is_trained = line.group == "topk" || line.group == "relu";
    if (is_trained && std::find(subjects.begin(), subjects.end(), line.subject) == subjects.end()) {
      subjects.push_back(line.subject);
    }
  }
  for (size_t s = 0; s < subjects.size(); ++s) {
    std::string precision, recall, colour;
    for (const ResultLine& line : lines) {
      if (line.subject != subjects[s] || line.method != pattern_method || line.threshold != 0) continue;
      for (size_t bin = 0; bin < centres.size(); ++bin) {
        if (line.slice != fmt::format("density bin {}", bin + 1)) continue;
        precision += point(centres[bin], line.means.precision);
        recall += point(centres[bin], line.means.recall);
        colour = colour_of(line.group);
      }
    }
    blocks += fmt::format("$precision{} << EOD\n{}EOD\n$recall{} << EOD\n{}EOD\n", s, precision, s, recall);
    plots += fmt::format(
        "{0}$precision{1} with yerrorlines pt 7 ps 0.7 dt 2 lc rgb '{2}' title {3} noenhanced, \\\n     "
        "$recall{1} with yerrorlines pt 6 ps 0.7 lw 1.5 lc rgb '{2}' title {4} noenhanced",
        s > 0 ? ", \\\n     " : "", s, colour, gnuplot_quoted(subjects[s] + ", precision"),
        gnuplot_quoted(subjects[s] + ", recall"));
  }
}

}  // namespace

void draw_comparison(const std::string& path, const std::string& title, const std::vector<ResultLine>& lines,
                     const std::vector<double>& bin_centres) {
  std::string blocks, means, densities;
  const std::vector<Series> series = series_of(lines);
  add_means(series, blocks, means);
  add_densities(lines, bin_centres, blocks, densities);
  const std::string name = std::filesystem::path(path).filename();
  const std::string panels = fmt::format(
      "set multiplot layout 2,1 title {0} noenhanced\nset grid y\nset yrange [0:1]\nset key outside right center\n"
      "unset logscale\nset xrange [0.5:3.5]\nset xlabel ''\nset format x\n"
      "set xtics ('precision' 1, 'recall' 2, 'F1' 3)\nset ylabel 'mean over latents, 95 % interval'\nplot {1}\n"
      "set xrange [*:*]\nset logscale x\nset xtics auto\nset format x '10^{{%L}}'\n"
      "set xlabel 'density of the latents (share of tokens), in bins'\nplot {2}\nunset multiplot",
      gnuplot_quoted(title), means, densities);
  run_gnuplot(path, fmt::format("# gnuplot {0}.gp draws {0}.svg and {0}.png\n{1}{2}", name, blocks,
                                gnuplot_outputs(name, panels, 1000, 840)));
}

namespace {

/// One curve for each activation and number of latents, its points by L0.
std::map<std::pair<std::string, int64_t>, std::vector<const ResultLine*>> curves_of(
    const std::vector<ResultLine>& lines) {
  std::map<std::pair<std::string, int64_t>, std::vector<const ResultLine*>> curves;
  for (const ResultLine& line : lines) {
    if (line.slice != "all" || line.threshold != 0 || line.method != pattern_method) continue;
    if (line.group == "topk" || line.group == "relu") curves[{line.group, line.size}].push_back(&line);
  }
  for (auto& [name, points] : curves) {
    std::sort(points.begin(), points.end(), [](const auto* a, const auto* b) { return a->l0 < b->l0; });
  }
  return curves;
}

}  // namespace

void draw_by_size(const std::string& path, const std::string& title, const std::vector<ResultLine>& lines) {
  const std::pair<const char*, Interval MeansInterval::*> metrics[] = {
      {"precision", &MeansInterval::precision}, {"recall", &MeansInterval::recall}, {"F1", &MeansInterval::f1}};
  std::string blocks, plots;
  PlotRange l0;
  for (const auto& [metric, interval] : metrics) {
    plots += fmt::format("set ylabel '{}, mean over latents'\n", metric);
    size_t index = 0;
    for (const auto& [curve, points] : curves_of(lines)) {
      const auto& [group, size] = curve;
      blocks += fmt::format("${}{} << EOD\n", metric, index);
      for (const ResultLine* line : points) {
        blocks += point(line->l0, line->means.*interval);
        l0.add(line->l0);
      }
      blocks += "EOD\n";
      plots += fmt::format("{}${}{} with yerrorlines pt {} ps 0.8 lw 1.5 lc rgb '{}' title '{}, {} latents' noenhanced",
                           index == 0 ? "plot " : ", \\\n     ", metric, index, group == "topk" ? 7 : 6,
                           plot_colour(index), group, size);
      ++index;
    }
    plots += "\n";
  }
  const std::string name = std::filesystem::path(path).filename();
  const std::string panels = fmt::format(
      "set multiplot layout 1,3 title {} noenhanced\nset grid\nset yrange [0:1]\nset logscale x 2\n"
      "set xrange {}\nset xtics {}\nset xlabel 'L0 (mean number of active latents)'\n{}unset multiplot",
      gnuplot_quoted(title), l0.logarithmic(), l0_tics, plots);
  run_gnuplot(path, fmt::format("# gnuplot {0}.gp draws {0}.svg and {0}.png\n{1}{2}", name, blocks,
                                gnuplot_outputs(name, panels, 1200, 440)));
}

}  // namespace sae
