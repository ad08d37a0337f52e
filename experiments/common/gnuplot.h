#pragma once

#include <string>

namespace sae {

/// A text in gnuplot's single quotes.
std::string gnuplot_quoted(const std::string& text);

/// The end of every script of ours: draws `plot` (a plot command, or several of a multiplot) as NAME.svg and NAME.png,
/// `width` by `height` pixels.
std::string gnuplot_outputs(const std::string& name, const std::string& plot, int width, int height);

/// Writes a script that makes PATH.svg and PATH.png as PATH.gp and runs it in its folder. Throws where gnuplot is
/// missing or fails.
void run_gnuplot(const std::string& path, const std::string& script);

}  // namespace sae
