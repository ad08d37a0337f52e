#include "experiments/progressive_code/progression.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "engine/error.h"
#include "experiments/common/gnuplot.h"
#include "models/autoencoder/test_activation.h"

namespace sae {

std::string_view name_of(TestMode mode) {
  switch (mode) {
    case TestMode::trained:
      return "trained";
    case TestMode::topk:
      return "topk";
    case TestMode::jump_relu:
      return "jumprelu";
  }
  fail("test mode: unknown value {}", static_cast<int>(mode));
}

Progression measure_progression(const std::string& name, const Autoencoder& autoencoder, const SplitRows& test,
                                const DataStatistics& statistics, const Tensor& sample,
                                std::span<const int64_t> targets) {
  Progression result{name, autoencoder.options(), {}};
  const auto add = [&](TestMode mode, int64_t target, double threshold, const Autoencoder& with) {
    result.points.push_back({mode, target, threshold, evaluate(with, test, statistics)});
  };
  const auto thresholds = thresholds_for(autoencoder, sample, targets);
  add(TestMode::trained, 0, 0, autoencoder);
  for (const int64_t k : targets) add(TestMode::topk, k, 0, with_topk(autoencoder, k));
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!thresholds[i]) continue;
    add(TestMode::jump_relu, targets[i], *thresholds[i], with_threshold(autoencoder, *thresholds[i]));
  }
  return result;
}

void write_progression_csv(const std::string& path, const std::vector<Progression>& all) {
  std::string text = "name,activation,latents,k,penalty,mode,target_l0,threshold,l0,normalised_mse,rows\n";
  for (const Progression& one : all) {
    const int64_t k = facts_of(one.model.activation).chooses_k ? one.model.k : 0;
    for (const TestPoint& point : one.points) {
      text += fmt::format("{},{},{},{},{:.6g},{},{},{:.6g},{:.4f},{:.6f},{}\n", one.name, name_of(one.model.activation),
                          one.model.latents, k, one.model.penalty, name_of(point.mode), point.target_l0,
                          point.threshold, point.metrics.l0, point.metrics.normalised_mse, point.metrics.rows);
    }
  }
  write_file(path, text, IfExists::replace);
}

std::string progression_table(const std::vector<Progression>& all, std::span<const int64_t> targets) {
  std::string text = fmt::format("{:<28} {:>18}  {:<9}", "normalised MSE", "as trained, at L0", "by");
  for (const int64_t target : targets) text += fmt::format(" {:>7}", target);
  text += "\n";
  for (const Progression& one : all) {
    for (const TestMode mode : {TestMode::topk, TestMode::jump_relu}) {
      const bool first = mode == TestMode::topk;
      const std::string trained =
          first ? fmt::format("{:.4f} {:>11.2f}", one.trained().normalised_mse, one.trained().l0) : "";
      text += fmt::format("{:<28} {:>18}  {:<9}", first ? one.name : "", trained, name_of(mode));
      for (const int64_t target : targets) {
        const auto point = std::find_if(one.points.begin(), one.points.end(),
                                        [&](const TestPoint& p) { return p.mode == mode && p.target_l0 == target; });
        text += point == one.points.end() ? fmt::format(" {:>7}", "-")
                                          : fmt::format(" {:>7.4f}", point->metrics.normalised_mse);
      }
      text += "\n";
    }
  }
  return text;
}

namespace {

/// "$NAME << EOD" with the points of one mode: L0 and error.
std::string data_block(const std::string& name, const Progression& one, TestMode mode) {
  std::string text = name + " << EOD\n";
  for (const TestPoint& point : one.points) {
    if (point.mode == mode) text += fmt::format("{} {}\n", point.metrics.l0, point.metrics.normalised_mse);
  }
  return text + "EOD\n";
}

bool has_mode(const Progression& one, TestMode mode) {
  return std::any_of(one.points.begin(), one.points.end(), [&](const TestPoint& p) { return p.mode == mode; });
}

/// The plot command of one panel; `first_index` is the number of its first autoencoder, which names the data blocks.
/// The legend names autoencoders, and in grey what lines and points are.
std::string panel(const std::vector<const Progression*>& rows, size_t first_index, bool with_front) {
  std::string curves;
  const auto add = [&](const std::string& data, const std::string& style, const std::string& title) {
    curves += fmt::format("{}{} {} {}", curves.empty() ? "plot " : ", \\\n     ", data, style,
                          title.empty() ? "notitle" : "title " + gnuplot_quoted(title) + " noenhanced");
  };
  add("NaN", "with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '#555555'", "TopK(k) at test time");
  add("NaN", "with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '#555555'", "JumpReLU(threshold) at test time");
  add("NaN", "with points pt 9 ps 1.5 lc rgb '#555555'", "as trained");
  if (with_front) add("$front", "with lines lw 5 lc rgb '#d0d0d0'", "topk as trained, each k");
  for (size_t i = 0; i < rows.size(); ++i) {
    const size_t index = first_index + i;
    const char* colour = plot_colour(i);
    const bool chooses_k = facts_of(rows[i]->model.activation).chooses_k;
    const std::string name = chooses_k ? fmt::format("trained with k = {}", rows[i]->model.k)
                                       : fmt::format("trained to L0 {:.0f}", rows[i]->trained().l0);
    add(fmt::format("$topk{}", index), fmt::format("with linespoints pt 7 ps 0.4 lw 1.5 lc rgb '{}'", colour), name);
    if (has_mode(*rows[i], TestMode::jump_relu)) {
      add(fmt::format("$jumprelu{}", index),
          fmt::format("with linespoints pt 6 ps 0.7 lw 1.5 dt 2 lc rgb '{}'", colour), "");
    }
    add(fmt::format("$trained{}", index), fmt::format("with points pt 9 ps 1.5 lc rgb '{}'", colour), "");
  }
  return curves + "\n";
}

}  // namespace

void draw_progression(const std::string& path, const std::string& title, const std::vector<Progression>& all) {
  std::map<Activation, std::vector<const Progression*>> panels;
  for (const Progression& one : all) panels[one.model.activation].push_back(&one);
  for (auto& [activation, rows] : panels) {
    std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return a->trained().l0 < b->trained().l0; });
  }
  const bool with_front = panels.contains(Activation::topk) && panels[Activation::topk].size() > 1;
  std::string blocks, plots;
  if (with_front) {
    blocks += "$front << EOD  # L0, normalised MSE\n";
    for (const Progression* one : panels[Activation::topk]) {
      blocks += fmt::format("{} {}\n", one->trained().l0, one->trained().normalised_mse);
    }
    blocks += "EOD\n";
  }
  size_t index = 0;
  for (const auto& [activation, rows] : panels) {
    const size_t first_index = index;
    for (const Progression* one : rows) {
      for (const TestMode mode : {TestMode::trained, TestMode::topk, TestMode::jump_relu}) {
        blocks += data_block(fmt::format("${}{}", name_of(mode), index), *one, mode);
      }
      ++index;
    }
    plots += fmt::format("set title {} noenhanced\n{}", gnuplot_quoted(std::string(name_of(activation))),
                         panel(rows, first_index, with_front));
  }
  PlotRange l0, mse;
  for (const Progression& one : all) {
    for (const TestPoint& point : one.points) {
      l0.add(point.metrics.l0);
      mse.add(point.metrics.normalised_mse);
    }
  }
  const auto columns = static_cast<int>(panels.size());
  const std::string plot = fmt::format(
      "set multiplot layout 1,{} title {} noenhanced\nset logscale xy\nset xrange {}\nset yrange {}\n"
      "set xtics {}\nset ytics {}\n"
      "set xlabel 'L0 at test time'\nset ylabel 'normalised MSE'\n{}unset multiplot",
      columns, gnuplot_quoted(title), l0.logarithmic(), mse.logarithmic(), l0_tics, mse_tics, plots);
  const std::string name = std::filesystem::path(path).filename();
  run_gnuplot(path, fmt::format("# gnuplot {0}.gp draws {0}.svg and {0}.png\n{1}set grid\nset key top right\n{2}", name,
                                blocks, gnuplot_outputs(name, plot, 200 + 400 * columns, 520)));
}

}  // namespace sae
