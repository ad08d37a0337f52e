#pragma once

#include <string>
#include <vector>

#include "models/explanation/explanation_file.h"

namespace sae {

/// A directed graph of an explanation in Graphviz's language, drawn as Neuron-to-Graph's authors draw theirs (Foote et
/// al. 2023, Fig. 1): read from left to right, context in blue by importance, the tokens on which the latent fires in
/// red by strength (the largest activation that a pattern ending there predicts, over the latent's maximum), wildcards
/// dashed, the start of a context as ^. Where a pattern begins, the border is bold, and the predicted activation stands
/// beside it with the number of examples.
std::string graph_of(const Explanation& explanation, const TokenText& text);

/// Draws .dot files as .svg beside them, by Graphviz. Throws where it is missing or fails.
void draw_graphs(const std::vector<std::string>& dot_files);

}  // namespace sae
