#include "experiments/common/gnuplot.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "engine/files/atomic_file.h"
#include "experiments/common/external_tool.h"

namespace sae {

std::string gnuplot_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

std::string gnuplot_outputs(const std::string& name, const std::string& plot, int width, int height) {
  return fmt::format(
      "set terminal svg size {1},{2} background rgb 'white' font 'DejaVu Sans,12'\nset output '{0}.svg'\n{3}\n"
      "set terminal pngcairo size {4},{5} font 'DejaVu Sans,14'\nset output '{0}.png'\n{3}\n",
      name, width, height, plot, width * 3 / 2, height * 3 / 2);
}

const char* plot_colour(size_t index) {
  constexpr const char* colours[] = {"#0060ad", "#dd181f", "#2a8a3c", "#8a4fbf", "#b07000", "#17a2b8",
                                     "#d63384", "#6c757d", "#7a5c3e", "#e69f00", "#004d40", "#9acd32"};
  return colours[index % std::size(colours)];
}

void PlotRange::add(double value) {
  if (!(value > 0)) return;
  lowest_ = std::min(lowest_, value);
  highest_ = std::max(highest_, value);
}

std::string PlotRange::logarithmic() const {
  return highest_ > 0 ? fmt::format("[{:.6g}:{:.6g}]", lowest_ / 1.2, highest_ * 1.2) : std::string("[1:10]");
}

void run_gnuplot(const std::string& path, const std::string& script) {
  write_file(path + ".gp", script, IfExists::replace);
  const std::filesystem::path file(path);
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  run_tool(
      fmt::format("cd {} && gnuplot {}", shell_quoted(folder.string()), shell_quoted(file.filename().string() + ".gp")),
      "gnuplot-nox");
}

}  // namespace sae
