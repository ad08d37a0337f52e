#pragma once

#include <span>
#include <string>
#include <vector>

#include "experiments/common/training_run.h"
#include "experiments/image_patches/filters.h"

namespace sae {

/// One autoencoder of the comparison, or the untrained start of one.
struct TrainedOnPatches {
  std::string name;             ///< "sigmoid", "topk", "untrained"
  std::optional<RunPoint> end;  ///< absent for the untrained
  AutoencoderOptions model;
  double learning_rate = 0;
  std::vector<float> filters;  ///< encoder rows, [latents, side * side]
  std::vector<FilterMeasures> measures;
  FilterSummary summary;
};
TrainedOnPatches measured(std::string name, const Autoencoder& autoencoder, int64_t side);

/// patches.csv: a line for each autoencoder; filters.csv: one for each filter.
void write_patch_results(const std::string& folder, std::span<const TrainedOnPatches> all);
std::string patch_table(std::span<const TrainedOnPatches> all);

/// Draws squares of tiles beside one another with a title each, as PATH.png; PATH.bin holds the pixels for PATH.gp.
struct Panel {
  std::string title;
  TileImage image;
};
void draw_panels(const std::string& path, std::span<const Panel> panels);

}  // namespace sae
