#include "experiments/ablate_recipe/ablation.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "engine/error.h"
#include "engine/files/json_lines.h"
#include "experiments/common/gnuplot.h"

namespace sae {

const std::vector<Variant>& all_variants() {
  static const std::vector<Variant> all = {
      {.name = "recipe"},
      {.name = "no-auxk", .auxiliary = false},
      {.name = "no-tied-start", .tied_start = false},
      {.name = "neither", .tied_start = false, .auxiliary = false},
      {.name = "no-encoder-bias", .encoder_bias = false},
      {.name = "free-decoder-norm", .unit_decoder = false},
  };
  return all;
}

RunPlan plan_of(const Variant& variant, const RunPlan& recipe) {
  RunPlan plan = recipe;
  plan.folder = recipe.folder + "/" + variant.name;
  plan.label = variant.name;
  plan.encoder_start.tied = variant.tied_start;
  if (!variant.auxiliary) plan.model.k_aux = 0;
  plan.training.freeze_encoder_bias = !variant.encoder_bias;
  plan.training.free_decoder_norm = !variant.unit_decoder;
  return plan;
}

TrainingCurve read_curve(const std::string& folder) {
  TrainingCurve curve;
  JsonLinesReader reader(folder + "/metrics.jsonl");
  while (const std::optional<Json> line = reader.next()) {
    curve.points.push_back({line->at("tokens").integer(), line->at("normalised_mse").number(), line->at("l0").number(),
                            line->at("dead").integer()});
  }
  return curve;
}

double Ablation::dead_fraction() const {
  CHECK(!curve.points.empty(), "{}: metrics.jsonl has no line", plan.folder);
  return static_cast<double>(curve.points.back().dead) / static_cast<double>(plan.model.latents);
}

namespace {

const RunPoint& end_of(const Ablation& one) { return one.result.points.back(); }

}  // namespace

void write_ablation_csv(const std::string& path, std::span<const Ablation> all) {
  std::string text =
      "variant,tied_start,k_aux,encoder_bias,unit_decoder,latents,k,learning_rate,seed,tokens,weights,l0,"
      "normalised_mse,validation_mse,dead_in_training,dead_on_test,moving,seconds\n";
  for (const Ablation& one : all) {
    if (one.result.diverged) continue;
    const RunPoint& end = end_of(one);
    text += fmt::format(
        "{},{:d},{},{:d},{:d},{},{},{:g},{},{},{},{:.4f},{:.6f},{:.6f},{:.5f},{:.5f},{:.4f},{:.1f}\n", one.variant.name,
        one.variant.tied_start, one.plan.model.k_aux, one.variant.encoder_bias, one.variant.unit_decoder,
        one.plan.model.latents, one.plan.model.k, one.plan.training.learning_rate, one.plan.training.seed, end.tokens,
        end.averaged ? "average" : "raw", end.test->l0, end.test->normalised_mse, end.validation.normalised_mse,
        one.dead_fraction(), end.test->dead_fraction, movement(one.result), end.seconds);
  }
  write_file(path, text, IfExists::replace);
}

void write_curves_csv(const std::string& path, std::span<const Ablation> all) {
  std::string text = "variant,tokens,normalised_mse,l0,dead\n";
  for (const Ablation& one : all) {
    for (const TrainingCurve::Point& point : one.curve.points) {
      text += fmt::format("{},{},{:.6f},{:.4f},{}\n", one.variant.name, point.tokens, point.normalised_mse, point.l0,
                          point.dead);
    }
  }
  write_file(path, text, IfExists::replace);
}

std::string ablation_table(std::span<const Ablation> all) {
  std::string text = fmt::format("{:<18} {:>8} {:>8} {:>18} {:>14} {:>9}\n", "variant", "NMSE", "L0",
                                 "dead in training", "dead on test", "seconds");
  for (const Ablation& one : all) {
    if (one.result.diverged) {
      text += fmt::format("{:<18} diverged: {}\n", one.variant.name, *one.result.diverged);
      continue;
    }
    const RunPoint& end = end_of(one);
    text += fmt::format("{:<18} {:>8.4f} {:>8.2f} {:>16.2f} % {:>12.2f} % {:>9.1f}\n", one.variant.name,
                        end.test->normalised_mse, end.test->l0, 100 * one.dead_fraction(),
                        100 * end.test->dead_fraction, end.seconds);
  }
  return text;
}

void draw_ablation(const std::string& path, const std::string& title, std::span<const Ablation> all) {
  std::string blocks, dead, errors;
  PlotRange mse;
  for (size_t i = 0; i < all.size(); ++i) {
    blocks += fmt::format("$curve{} << EOD  # tokens / 1000, dead latents in percent, normalised MSE\n", i);
    for (const TrainingCurve::Point& point : all[i].curve.points) {
      blocks += fmt::format("{:.4g} {:.5g} {:.6g}\n", static_cast<double>(point.tokens) / 1000,
                            100 * static_cast<double>(point.dead) / static_cast<double>(all[i].plan.model.latents),
                            point.normalised_mse);
      mse.add(point.normalised_mse);
    }
    blocks += "EOD\n";
    const auto curve = [&](int column) {
      return fmt::format("{}$curve{} using 1:{} with lines lw {} lc rgb '{}' title {} noenhanced",
                         i == 0 ? "" : ", \\\n     ", i, column, i == 0 ? 4 : 1.5, plot_colour(i),
                         gnuplot_quoted(all[i].variant.name));
    };
    dead += curve(2);
    errors += curve(3);
  }
  const std::string name = std::filesystem::path(path).filename();
  const std::string plot = fmt::format(
      "set multiplot layout 1,2 title {} noenhanced\n"
      "set xlabel 'thousands of training tokens'\nset ylabel 'dead latents (%)'\nset yrange [0:*]\nset ytics auto\n"
      "set key center right\nplot {}\n"
      "set ylabel 'normalised MSE of training batches'\nset logscale y\nset yrange {}\nset ytics {}\n"
      "set key top right\nplot {}\nunset logscale\nunset multiplot",
      gnuplot_quoted(title), dead, mse.logarithmic(), mse_tics, errors);
  run_gnuplot(path, fmt::format("# gnuplot {0}.gp draws {0}.svg and {0}.png\n{1}set grid\n{2}", name, blocks,
                                gnuplot_outputs(name, plot, 1100, 480)));
}

}  // namespace sae
