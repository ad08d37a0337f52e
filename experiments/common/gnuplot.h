#pragma once

#include <cstddef>
#include <limits>
#include <string>

namespace sae {

/// A text in gnuplot's single quotes.
std::string gnuplot_quoted(const std::string& text);

/// The end of every script of ours: draws `plot` (a plot command, or several of a multiplot) as NAME.svg and NAME.png,
/// `width` by `height` pixels.
std::string gnuplot_outputs(const std::string& name, const std::string& plot, int width, int height);

/// The colour of the index-th curve of a figure, "#0060ad"; after twelve they begin again.
const char* plot_colour(size_t index);

/// The range of an axis, made of the coordinates of all that is drawn.
class PlotRange {
 public:
  void add(double value);
  /// "[low:high]" with room on either side; a logarithmic axis has no place for what is not above 0, so that is left
  /// out. "[1:10]" where nothing is left.
  std::string logarithmic() const;

 private:
  double lowest_ = std::numeric_limits<double>::max(), highest_ = 0;
};

/// Where the ticks of a logarithmic axis stand: of numbers of latents, and of normalised errors.
inline constexpr const char* l0_tics = "(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)";
inline constexpr const char* mse_tics = "(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 2, 5, 10, 20, 50, 100)";

/// Writes a script that makes PATH.svg and PATH.png as PATH.gp and runs it in its folder. Throws where gnuplot is
/// missing or fails.
void run_gnuplot(const std::string& path, const std::string& script);

}  // namespace sae
