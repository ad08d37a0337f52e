#pragma once

#include <string>
#include <vector>

#include "experiments/downstream/replaced_loss.h"

namespace sae {

/// One row of downstream.csv: something that was put in, and what it did.
struct DownstreamRow {
  Substitute substitute;
  ReplacedLoss loss;
};

/// All that was put in into one place of a model; the rows "original", "zero" and "mean" stand first.
struct DownstreamResults {
  std::vector<DownstreamRow> rows;
  const DownstreamRow& row(Substitute::Kind kind) const;
  /// (loss of an end - loss) / (loss of the end - original loss), of which zero-ablation is the usual end.
  double loss_recovered(const ReplacedLoss& loss, Substitute::Kind end) const;
};

void write_downstream_csv(const std::string& path, const DownstreamResults& results);

/// The increase of the loss and the divergence, over L0 and over normalised MSE (Gao et al., Fig. 5): PATH.svg, .png
/// and .gp.
void draw_downstream(const std::string& path, const std::string& title, const DownstreamResults& results);

/// A table for the screen, with what to keep in mind of its last columns.
std::string downstream_table(const DownstreamResults& results);

}  // namespace sae
