#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sae {

/// One evaluated point of the sweep: a row of results.csv.
struct ResultRow {
  std::string activation;  ///< a contestant's name, or "pca"
  double target_l0 = 0;
  int64_t latents = 0;
  int64_t k = 0;       ///< 0 where a penalty decides
  double penalty = 0;  ///< weight of the sparsity penalty; 0 where k is chosen
  double learning_rate = 0;
  uint64_t seed = 0;
  int64_t tokens = 0;   ///< rows trained on so far, passes counted
  double part = 1;      ///< of the run: 0.5 or 1
  std::string weights;  ///< "raw" or "average": the better on validation data
  double l0 = 0, normalised_mse = 0, per_row_mse = 0, explained_variance = 0, l1_norm = 0, dead_fraction = 0;
  double validation_mse = 0;
  double moving = 0;   ///< change of NMSE or L0 in the last fifth of the run, on validation data
  double seconds = 0;  ///< of training
  std::string run;     ///< its folder, as seen from that of results.csv; empty where there is none

  /// The row of a dense baseline: c components of `width`, c numbers a row; what was not measured is not a number.
  static ResultRow of_principal_components(int64_t components, int64_t width, double normalised_mse);
};

/// Writes results.csv, replacing it as a whole.
void write_results_csv(const std::string& path, const std::vector<ResultRow>& rows);

/// One line of a table of expected points: what the sweep gave where it was first run, and how far a run on other
/// hardware may lie from it.
struct ExpectedPoint {
  std::string activation;  ///< a contestant's name, or "pca"
  double target_l0 = 0;
  double l0 = 0, l0_tolerance = 0;
  double normalised_mse = 0, mse_tolerance = 0;
};
/// Reads "activation,target_l0,l0,l0_tolerance,normalised_mse,mse_tolerance" with a header line; throws with FILE:LINE.
std::vector<ExpectedPoint> read_expected(const std::string& path);

/// The table "obtained, expected +- tolerance" with a verdict for each full-length point and one for the whole.
struct Verdict {
  std::string table;
  bool right = false;
};
Verdict compare_with_expected(const std::vector<ResultRow>& rows, const std::vector<ExpectedPoint>& expected);

/// Draws normalised MSE over L0, both logarithmic, one curve for each activation; with a band over the seeds
/// where there are several; points whose runs still moved are hollow, half the tokens dashed (where few are compared).
/// Writes PATH.svg, PATH.png and the gnuplot script PATH.gp that drew them from results.csv beside it. Throws where
/// gnuplot is missing or fails.
void draw_plot(const std::string& path, const std::string& title, const std::vector<ResultRow>& rows);

/// Draws normalised MSE over the number of latents, both logarithmic: a curve for each activation and target L0, of
/// errors moved to that L0 (error_at), means over the seeds (Gao et al., Fig. 2b, where k is fixed). Writes the same
/// three files.
void draw_scaling(const std::string& path, const std::string& title, const std::vector<ResultRow>& rows);

}  // namespace sae
