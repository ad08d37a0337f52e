#include "experiments/toy_features/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "engine/files/atomic_file.h"
#include "experiments/common/gnuplot.h"

namespace sae {
namespace {

/// The curves of one panel, as blocks of points and the plot command that draws them.
class Panel {
 public:
  explicit Panel(std::string name) : name_(std::move(name)) {}

  void add(const std::string& activation, double x, double y) {
    auto curve = std::find_if(curves_.begin(), curves_.end(), [&](const Curve& c) { return c.title == activation; });
    if (curve == curves_.end()) curve = curves_.insert(curves_.end(), {activation, {}});
    curve->points.emplace_back(x, y);
  }

  std::string blocks() {
    std::string text;
    for (size_t i = 0; i < curves_.size(); ++i) {
      std::sort(curves_[i].points.begin(), curves_[i].points.end());
      text += fmt::format("${}{} << EOD\n", name_, i);
      for (const auto& [x, y] : curves_[i].points) text += fmt::format("{} {}\n", x, y);
      text += "EOD\n";
    }
    return text;
  }

  std::string plot() const {
    std::string text;
    for (size_t i = 0; i < curves_.size(); ++i) {
      text += fmt::format("{}${}{} with linespoints pt 7 ps 0.7 lw 2 lc rgb '{}' title {}", i == 0 ? "plot " : ", ",
                          name_, i, plot_colour(i), gnuplot_quoted(curves_[i].title));
    }
    return text;
  }

 private:
  struct Curve {
    std::string title;
    std::vector<std::pair<double, double>> points;
  };
  std::string name_;
  std::vector<Curve> curves_;
};

}  // namespace

void write_recoveries(const std::string& folder, const std::vector<Recovery>& rows, const ToyOptions& data) {
  std::string text = "activation,latents,k,penalty,learning_rate,l0,normalised_mse,dead_fraction,mean_cosine,found\n";
  Panel by_sparsity("sparsity"), by_size("size");
  std::map<std::pair<std::string, int64_t>, double> best;
  std::vector<std::pair<std::string, int64_t>> order;
  for (const Recovery& r : rows) {
    text += fmt::format("{},{},{},{:.6g},{:.6g},{:.4f},{:.6f},{:.5f},{:.5f},{:.5f}\n", r.activation, r.latents, r.k,
                        r.penalty, r.learning_rate, r.l0, r.normalised_mse, r.dead_fraction, r.match.mean_cosine,
                        r.match.found);
    if (r.latents == rows[0].latents && r.l0 > 0) by_sparsity.add(r.activation, r.l0, r.match.mean_cosine);
    const auto [place, is_new] = best.try_emplace({r.activation, r.latents}, r.match.mean_cosine);
    if (is_new) order.emplace_back(r.activation, r.latents);
    place->second = std::max(place->second, r.match.mean_cosine);
  }
  for (const auto& key : order) by_size.add(key.first, static_cast<double>(key.second), best[key]);
  write_file(folder + "/recovery.csv", text, IfExists::replace);

  const bool several =
      std::any_of(rows.begin(), rows.end(), [&](const auto& r) { return r.latents != rows[0].latents; });
  const std::string title =
      fmt::format("{} directions in {} dimensions, {} active in a row", data.features, data.width, data.active);
  const std::string blocks = by_sparsity.blocks() + by_size.blocks();
  const std::string first = fmt::format(
      "set logscale x 2\nset key bottom left\nset xlabel 'L0, {} latents'\n"
      "set ylabel 'mean cosine of a direction with its latent'\n{}\n",
      rows[0].latents, by_sparsity.plot());
  const std::string second =
      fmt::format("set key bottom right\nset xlabel 'latents, at the best L0'\n{}\n", by_size.plot());
  const std::string figure = several ? fmt::format("set multiplot layout 1,2 title {} noenhanced\n{}{}unset multiplot",
                                                   gnuplot_quoted(title), first, second)
                                     : fmt::format("set title {} noenhanced\n{}", gnuplot_quoted(title), first);
  run_gnuplot(folder + "/recovery", fmt::format("{}set grid\nset yrange [*:1]\n{}", blocks,
                                                gnuplot_outputs("recovery", figure, several ? 1100 : 800, 560)));
}

}  // namespace sae
