#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sae {

/// An oriented wave below a bell, the shape of receptive fields in the visual cortex and of an edge or a bar in an
/// image (Gabor; Daugman 1985): g(x, y) = exp(-u^2 / (2 length^2) - v^2 / (2 breadth^2)) cos(2 pi frequency u + phase),
/// u and v the distances from the centre across and along the stripes, in pixels.
struct Gabor {
  double x = 0, y = 0;     ///< centre, in pixels from the top left one
  double orientation = 0;  ///< of the stripes' normal, in [0, pi)
  double frequency = 0;    ///< cycles per pixel
  double length = 0, breadth = 0;
};

struct FilterMeasures {
  Gabor gabor;             ///< the best one
  double gabor_share = 0;  ///< how much of the filter's energy it explains, with the best phase and amplitude: 0 to 1
  double quarter_share =
      0;  ///< how much of the energy lies in that window of half the patch's side which holds the most
};

/// What each filter looks like. filters: [count, side * side]. The best Gabor is sought on a grid (12 orientations, 7
/// frequencies, 4 lengths, 2 breadths, centres every other pixel) and then by coordinates. A filter of zeros has
/// measures of 0. Deterministic.
std::vector<FilterMeasures> measure_filters(std::span<const float> filters, int64_t side);

/// A filter is called an edge filter where one Gabor explains more than half of its energy and a quarter of the patch
/// holds more than half of it. No random filter does (measured beside the trained ones, every time).
bool is_edge(const FilterMeasures& measures);

/// Of a set of filters.
struct FilterSummary {
  double edges = 0;          ///< part that are edge filters
  double gabor_share = 0;    ///< median
  double quarter_share = 0;  ///< median
};
FilterSummary summarise(std::span<const FilterMeasures> all);

/// Filters as tiles of a square grey image, one pixel apart: each filter's largest magnitude becomes black or white, 0
/// mid-grey, as CS294A draws them (W_i / |W_i|, up to contrast). At most `columns`^2 of them, row by row.
struct TileImage {
  int64_t side = 0;             ///< pixels
  std::vector<uint8_t> pixels;  // [side, side], rows from the top
};
TileImage tiles(std::span<const float> filters, int64_t filter_side, int64_t columns);

}  // namespace sae
