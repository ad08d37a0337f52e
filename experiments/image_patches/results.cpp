#include "experiments/image_patches/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numbers>

#include "engine/files/atomic_file.h"
#include "experiments/common/gnuplot.h"

namespace sae {

TrainedOnPatches measured(std::string name, const Autoencoder& autoencoder, int64_t side) {
  TrainedOnPatches one{
      std::move(name), {}, autoencoder.options(), 0, autoencoder.encoder().value().to_vector<float>(), {}, {}};
  one.measures = measure_filters(one.filters, side);
  one.summary = summarise(one.measures);
  return one;
}

namespace {

/// The mean value of a latent over the test rows.
double mean_activation(const TrainedOnPatches& one) {
  return one.end->test->l1 / static_cast<double>(one.model.latents);
}

}  // namespace

void write_patch_results(const std::string& folder, std::span<const TrainedOnPatches> all) {
  std::string text =
      "model,latents,k,target_rate,penalty,weight_decay,learning_rate,patches_seen,weights,normalised_mse,l0,"
      "mean_activation,dead_fraction,edge_filters,median_gabor_share,median_quarter_share,seconds\n";
  for (const TrainedOnPatches& one : all) {
    const bool sigmoid = one.model.activation == Activation::sigmoid;
    text += fmt::format("{},{},", one.name, one.model.latents);
    if (one.end) {
      const Metrics& test = *one.end->test;
      text += fmt::format("{},{:g},{:.6g},{:.6g},{:g},{},{},{:.6f},{:.4f},{:.6f},{:.5f},", sigmoid ? 0 : one.model.k,
                          sigmoid ? one.model.target_rate : 0, one.model.penalty, one.model.weight_decay,
                          one.learning_rate, one.end->tokens, one.end->averaged ? "average" : "raw",
                          test.normalised_mse, test.l0, mean_activation(one), test.dead_fraction);
    } else {
      text += ",,,,,0,,,,,,";
    }
    text += fmt::format("{:.4f},{:.4f},{:.4f},{}\n", one.summary.edges, one.summary.gabor_share,
                        one.summary.quarter_share, one.end ? fmt::format("{:.1f}", one.end->seconds) : "");
  }
  write_file(folder + "/patches.csv", text, IfExists::replace);
  text = "model,latent,gabor_share,quarter_share,orientation_degrees,cycles_per_pixel,length,breadth,x,y\n";
  for (const TrainedOnPatches& one : all) {
    for (size_t i = 0; i < one.measures.size(); ++i) {
      const FilterMeasures& m = one.measures[i];
      text += fmt::format("{},{},{:.4f},{:.4f},{:.1f},{:.4f},{:.2f},{:.2f},{:.2f},{:.2f}\n", one.name, i, m.gabor_share,
                          m.quarter_share, m.gabor.orientation * 180 / std::numbers::pi, m.gabor.frequency,
                          m.gabor.length, m.gabor.breadth, m.gabor.x, m.gabor.y);
    }
  }
  write_file(folder + "/filters.csv", text, IfExists::replace);
}

std::string patch_table(std::span<const TrainedOnPatches> all) {
  std::string text = fmt::format("{:<10} {:>8} {:>16} {:>13} {:>13} {:>14} {:>8}\n", "model", "NMSE", "mean activation",
                                 "edge filters", "Gabor share", "quarter share", "seconds");
  for (const TrainedOnPatches& one : all) {
    text += fmt::format("{:<10} {:>8} {:>16} {:>11.1f} % {:>13.3f} {:>14.3f} {:>8}\n", one.name,
                        one.end ? fmt::format("{:.4f}", one.end->test->normalised_mse) : "",
                        one.end ? fmt::format("{:.4f}", mean_activation(one)) : "", 100 * one.summary.edges,
                        one.summary.gabor_share, one.summary.quarter_share,
                        one.end ? fmt::format("{:.1f}", one.end->seconds) : "");
  }
  return text;
}

void draw_panels(const std::string& path, std::span<const Panel> panels) {
  const std::string name = std::filesystem::path(path).filename();
  // Every pixel of a tile becomes exactly so many of the figure, or their edges would blur.
  constexpr int64_t zoom = 3, gap = 15, title = 45;
  int64_t width = gap, height = 0;
  for (const Panel& panel : panels) {
    width += panel.image.side * zoom + gap;
    height = std::max(height, panel.image.side * zoom + gap + title);
  }
  std::string pixels, plots;
  int64_t left = gap;
  for (const Panel& panel : panels) {
    const int64_t side = panel.image.side, drawn = side * zoom;
    const auto across = [&](int64_t x) { return static_cast<double>(x) / static_cast<double>(width); };
    const auto up = [&](int64_t y) { return static_cast<double>(y) / static_cast<double>(height); };
    plots += fmt::format(
        "set title {} noenhanced\n"
        "set lmargin at screen {:.9f}\nset rmargin at screen {:.9f}\n"
        "set bmargin at screen {:.9f}\nset tmargin at screen {:.9f}\n"
        "plot [-0.5:{}-0.5] [-0.5:{}-0.5] '{}.bin' binary skip={} array=({},{}) format='%uchar' flipy with image\n",
        gnuplot_quoted(panel.title), across(left), across(left + drawn), up(height - title - drawn), up(height - title),
        side, side, name, pixels.size(), side, side);
    pixels.append(panel.image.pixels.begin(), panel.image.pixels.end());
    left += drawn + gap;
  }
  write_file(path + ".bin", pixels, IfExists::replace);
  run_gnuplot(
      path, fmt::format(
                "# gnuplot {0}.gp draws {0}.png from {0}.bin\n"
                "set terminal pngcairo size {1},{2} font 'DejaVu Sans,14'\nset output '{0}.png'\n"
                "unset border\nunset tics\nunset key\nunset colorbox\n"
                "set palette defined (0 'black', 1 'white')\nset cbrange [0:255]\nset multiplot\n{3}unset multiplot\n",
                name, width, height, plots));
}

}  // namespace sae
