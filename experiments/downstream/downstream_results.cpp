#include "experiments/downstream/downstream_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>

#include "engine/error.h"
#include "engine/files/atomic_file.h"
#include "experiments/common/gnuplot.h"

namespace sae {
namespace {

using Kind = Substitute::Kind;

bool is_autoencoder(const DownstreamRow& row) { return row.substitute.kind == Kind::autoencoder; }

}  // namespace

const DownstreamRow& DownstreamResults::row(Kind kind) const {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const auto& one) { return one.substitute.kind == kind; });
  CHECK(found != rows.end(), "downstream: the results lack one of original, zero and mean");
  return *found;
}

double DownstreamResults::loss_recovered(const ReplacedLoss& loss, Kind end) const {
  const double worst = row(end).loss.mean_increase();
  return (worst - loss.mean_increase()) / worst;
}

void write_downstream_csv(const std::string& path, const DownstreamResults& results) {
  std::string text =
      "name,activation,latents,k,penalty,l0,normalised_mse,cross_entropy,delta_cross_entropy,delta_standard_error,"
      "kl_divergence,kl_standard_error,loss_recovered_from_zero,loss_recovered_from_mean,tokens\n";
  for (const DownstreamRow& row : results.rows) {
    const ReplacedLoss& loss = row.loss;
    std::string about = ",,,,,";
    if (row.substitute.has_latents()) {
      const AutoencoderOptions& model = row.substitute.autoencoder->options();
      const bool chooses_k = facts_of(model.activation).chooses_k;
      about = fmt::format("{},{},{},{:.6g},{:.4f},{:.6f}", name_of(model.activation), model.latents,
                          chooses_k ? model.k : 0, model.penalty, loss.l0(), loss.normalised_mse());
    }
    text += fmt::format("{},{},{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},{}\n", row.substitute.name, about,
                        loss.mean_loss(), loss.mean_increase(), loss.increase_error(), loss.mean_divergence(),
                        loss.divergence_error(), results.loss_recovered(loss, Kind::zero),
                        results.loss_recovered(loss, Kind::mean), loss.tokens);
  }
  write_file(path, text, IfExists::replace);
}

std::string downstream_table(const DownstreamResults& results) {
  std::string text = fmt::format("{:<36} {:>8} {:>8} {:>8} {:>18} {:>18} {:>9} {:>9}\n", "put in", "L0", "NMSE", "loss",
                                 "more than original", "KL", "of zero", "of mean");
  for (const DownstreamRow& row : results.rows) {
    const ReplacedLoss& loss = row.loss;
    std::string l0 = "-", mse = "-";
    if (row.substitute.has_latents()) {
      l0 = fmt::format("{:.2f}", loss.l0());
      mse = fmt::format("{:.4f}", loss.normalised_mse());
    }
    text += fmt::format("{:<36} {:>8} {:>8} {:>8.4f} {:>18} {:>18} {:>9.4f} {:>9.4f}\n", row.substitute.name, l0, mse,
                        loss.mean_loss(), fmt::format("{:.4f} +- {:.4f}", loss.mean_increase(), loss.increase_error()),
                        fmt::format("{:.4f} +- {:.4f}", loss.mean_divergence(), loss.divergence_error()),
                        results.loss_recovered(loss, Kind::zero), results.loss_recovered(loss, Kind::mean));
  }
  return text +
         "The last columns are the share of the loss recovered from zero- and from mean-ablation. Ablating the "
         "residual\n"
         "stream destroys so much that poor autoencoders score high there too: compare the increases of the loss.\n";
}

namespace {

/// One curve for each activation and number of latents, its points by L0.
using Curves = std::map<std::string, std::vector<const DownstreamRow*>>;

Curves curves_of(const DownstreamResults& results) {
  Curves curves;
  std::map<int64_t, int> sizes;
  for (const DownstreamRow& row : results.rows) {
    if (is_autoencoder(row)) ++sizes[row.substitute.autoencoder->options().latents];
  }
  for (const DownstreamRow& row : results.rows) {
    if (!is_autoencoder(row)) continue;
    const AutoencoderOptions& model = row.substitute.autoencoder->options();
    const std::string name(name_of(model.activation));
    curves[sizes.size() > 1 ? fmt::format("{}, {} latents", name, model.latents) : name].push_back(&row);
  }
  for (auto& [name, rows] : curves) {
    std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return a->loss.l0() < b->loss.l0(); });
  }
  return curves;
}

/// "set xrange [...]" and a logarithmic scale with room around the points; increases that are not above 0, which chance
/// may give, have no place on one.
std::string axis(const char* name, const Curves& curves, double (ReplacedLoss::*coordinate)() const) {
  double low = std::numeric_limits<double>::max(), high = 0;
  for (const auto& [curve, rows] : curves) {
    for (const DownstreamRow* row : rows) {
      low = std::min(low, (row->loss.*coordinate)());
      high = std::max(high, (row->loss.*coordinate)());
    }
  }
  if (!(low > 0)) return fmt::format("unset logscale {0}\nset {0}range [*:*]\n", name);
  return fmt::format("set logscale {0}\nset {0}range [{1:.6g}:{2:.6g}]\n", name, low / 1.2, high * 1.2);
}

/// "$curve0 using 1:3 with linespoints ... title 'relu', ..."
std::string plot_of(const Curves& curves, int x, int y, bool titles) {
  std::string text;
  size_t index = 0;
  for (const auto& [name, rows] : curves) {
    text += fmt::format("{}$curve{} using {}:{} with linespoints pt 7 ps 0.8 lw 2 lc rgb '{}' {}",
                        index == 0 ? "plot " : ", \\\n     ", index, x, y, plot_colour(index),
                        titles ? "title " + gnuplot_quoted(name) : std::string("notitle"));
    ++index;
  }
  return text + "\n";
}

}  // namespace

void draw_downstream(const std::string& path, const std::string& title, const DownstreamResults& results) {
  const Curves curves = curves_of(results);
  CHECK(!curves.empty(), "downstream: there is no autoencoder to draw");
  std::string blocks;
  int index = 0;
  for (const auto& [name, rows] : curves) {
    blocks += fmt::format("$curve{} << EOD  # L0, normalised MSE, increase of the loss, KL\n", index++);
    for (const DownstreamRow* row : rows) {
      blocks += fmt::format("{} {} {} {}\n", row->loss.l0(), row->loss.normalised_mse(), row->loss.mean_increase(),
                            row->loss.mean_divergence());
    }
    blocks += "EOD\n";
  }
  const std::string over_l0 =
      "set xlabel 'L0 (mean number of active latents)'\n" + axis("x", curves, &ReplacedLoss::l0);
  const std::string over_mse =
      "set xlabel 'normalised MSE (1 = predicting the mean)'\n" + axis("x", curves, &ReplacedLoss::normalised_mse);
  const std::string of_loss =
      "set ylabel 'increase of the loss (nats a token)'\n" + axis("y", curves, &ReplacedLoss::mean_increase);
  const std::string of_divergence =
      "set ylabel 'KL(original || replaced) (nats)'\n" + axis("y", curves, &ReplacedLoss::mean_divergence);
  const std::string panels = "set multiplot layout 2,2 title " +
                             gnuplot_quoted(title + ": reconstructions in the residual stream's place") +
                             " noenhanced\n" + over_l0 + of_loss + plot_of(curves, 1, 3, true) + over_mse +
                             plot_of(curves, 2, 3, false) + over_l0 + of_divergence + plot_of(curves, 1, 4, false) +
                             over_mse + plot_of(curves, 2, 4, false) + "unset multiplot";
  const std::string name = std::filesystem::path(path).filename();
  run_gnuplot(path, fmt::format("# gnuplot {0}.gp draws {0}.svg and {0}.png\n{1}set grid\nset key top "
                                "right\nset xtics (2, 4, 8, 16, 32, 64, 128, 256, 512, 0.02, 0.05, 0.1, 0.15, 0.2, "
                                "0.3, 0.4, 0.5, 0.7, 1)\nset ytics (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, "
                                "0.3, 0.5, 0.7, 1, 2, 5, 10)\n{2}",
                                name, blocks, gnuplot_outputs(name, panels, 900, 760)));
}

}  // namespace sae
