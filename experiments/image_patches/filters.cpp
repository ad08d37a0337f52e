#include "experiments/image_patches/filters.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "engine/error.h"
#include "engine/parallel.h"

namespace sae {
namespace {

/// How much of a filter's energy lies in the plane of two functions, from the products.
double share_of(double energy, double with_even, double with_odd, double even_even, double even_odd, double odd_odd) {
  const double determinant = even_even * odd_odd - even_odd * even_odd;
  if (energy <= 0) return 0;
  // One of the two vanishes where the frequency is low; the other alone is left.
  if (determinant <= 1e-9 * even_even * odd_odd) return even_even > 0 ? with_even * with_even / even_even / energy : 0;
  const double explained =
      (with_even * with_even * odd_odd - 2 * with_even * with_odd * even_odd + with_odd * with_odd * even_even) /
      determinant;
  return std::clamp(explained / energy, 0.0, 1.0);
}

/// The bell times cosine and times sine, over all pixels of the patch.
void draw(const Gabor& gabor, int64_t side, float* even, float* odd) {
  const double cosine = std::cos(gabor.orientation), sine = std::sin(gabor.orientation);
  for (int64_t i = 0; i < side * side; ++i) {
    const double dx = static_cast<double>(i % side) - gabor.x, dy = static_cast<double>(i / side) - gabor.y;
    const double u = dx * cosine + dy * sine, v = dy * cosine - dx * sine;
    const double bell =
        std::exp(-u * u / (2 * gabor.length * gabor.length) - v * v / (2 * gabor.breadth * gabor.breadth));
    const double angle = 2 * std::numbers::pi * gabor.frequency * u;
    even[i] = static_cast<float>(bell * std::cos(angle));
    odd[i] = static_cast<float>(bell * std::sin(angle));
  }
}

double share_of(std::span<const float> filter, int64_t side, const Gabor& gabor) {
  const int64_t pixels = side * side;
  std::vector<float> functions(static_cast<size_t>(2 * pixels));
  draw(gabor, side, functions.data(), functions.data() + pixels);
  double energy = 0, fe = 0, fo = 0, ee = 0, eo = 0, oo = 0;
  for (int64_t i = 0; i < pixels; ++i) {
    const double f = filter[static_cast<size_t>(i)], e = functions[static_cast<size_t>(i)],
                 o = functions[static_cast<size_t>(pixels + i)];
    energy += f * f, fe += f * e, fo += f * o, ee += e * e, eo += e * o, oo += o * o;
  }
  return share_of(energy, fe, fo, ee, eo, oo);
}

struct Fit {
  Gabor gabor;
  double share = 0;
};

/// All Gabors of the grid but for the centre.
std::vector<Gabor> shapes_of_grid(int64_t side) {
  std::vector<Gabor> shapes;
  for (int turn = 0; turn < 12; ++turn) {
    for (const double frequency : {0.05, 0.08, 0.11, 0.16, 0.22, 0.31, 0.42}) {
      for (const double length : {0.08, 0.12, 0.18, 0.27}) {
        for (const double aspect : {1.0, 1.7}) {
          const double size = length * static_cast<double>(side);
          shapes.push_back({0, 0, turn * std::numbers::pi / 12, frequency, size, size * aspect});
        }
      }
    }
  }
  return shapes;
}

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The best Gabor of the grid for each of the filters [count, side * side].
std::vector<Fit> search_grid(const Eigen::Map<const RowMajor>& filters, int64_t side) {
  std::vector<Gabor> centres;
  for (int64_t y = 0; y < side; y += 2) {
    for (int64_t x = 0; x < side; x += 2) centres.push_back({static_cast<double>(x), static_cast<double>(y)});
  }
  const auto count = static_cast<Eigen::Index>(centres.size());
  RowMajor even(count, side * side), odd(count, side * side);
  std::vector<Fit> best(static_cast<size_t>(filters.rows()));
  const Eigen::VectorXf energies = filters.rowwise().squaredNorm();
  for (Gabor shape : shapes_of_grid(side)) {
    for (Eigen::Index c = 0; c < count; ++c) {
      shape.x = centres[static_cast<size_t>(c)].x, shape.y = centres[static_cast<size_t>(c)].y;
      draw(shape, side, even.row(c).data(), odd.row(c).data());
    }
    const Eigen::MatrixXf with_even = even * filters.transpose(), with_odd = odd * filters.transpose();
    for (Eigen::Index c = 0; c < count; ++c) {
      const double ee = even.row(c).squaredNorm(), oo = odd.row(c).squaredNorm(), eo = even.row(c).dot(odd.row(c));
      for (Eigen::Index f = 0; f < filters.rows(); ++f) {
        const double share = share_of(energies[f], with_even(c, f), with_odd(c, f), ee, eo, oo);
        Fit& one = best[static_cast<size_t>(f)];
        if (share <= one.share) continue;
        one = {shape, share};
        one.gabor.x = centres[static_cast<size_t>(c)].x, one.gabor.y = centres[static_cast<size_t>(c)].y;
      }
    }
  }
  return best;
}

/// Goes uphill, one coordinate at a time, with steps that halve.
void refine(Fit& fit, std::span<const float> filter, int64_t side) {
  constexpr std::array<double Gabor::*, 6> coordinates = {&Gabor::x,         &Gabor::y,      &Gabor::orientation,
                                                          &Gabor::frequency, &Gabor::length, &Gabor::breadth};
  for (double scale = 1; scale > 0.1; scale /= 2) {
    for (const auto coordinate : coordinates) {
      const bool multiplied =
          coordinate == &Gabor::frequency || coordinate == &Gabor::length || coordinate == &Gabor::breadth;
      for (const double direction : {-1.0, 1.0}) {
        Gabor moved = fit.gabor;
        if (multiplied) moved.*coordinate *= std::exp(direction * 0.2 * scale);
        if (!multiplied) moved.*coordinate += direction * scale * (coordinate == &Gabor::orientation ? 0.13 : 1.0);
        const bool allowed =
            moved.frequency <= 0.5 && std::max(moved.length, moved.breadth) <= static_cast<double>(side);
        const double share = allowed ? share_of(filter, side, moved) : 0;
        if (share > fit.share) fit = {moved, share};
      }
    }
  }
  fit.gabor.orientation -= std::numbers::pi * std::floor(fit.gabor.orientation / std::numbers::pi);
}

double quarter_share(std::span<const float> filter, int64_t side) {
  const int64_t half = (side + 1) / 2;
  double energy = 0, most = 0;
  for (const float value : filter) energy += static_cast<double>(value) * static_cast<double>(value);
  for (int64_t top = 0; top + half <= side; ++top) {
    for (int64_t left = 0; left + half <= side; ++left) {
      double inside = 0;
      for (int64_t i = 0; i < half * half; ++i) {
        const double value = filter[static_cast<size_t>((top + i / half) * side + left + i % half)];
        inside += value * value;
      }
      most = std::max(most, inside);
    }
  }
  return energy > 0 ? most / energy : 0;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::vector<FilterMeasures> measure_filters(std::span<const float> filters, int64_t side) {
  const int64_t pixels = side * side;
  CHECK(side >= 2 && static_cast<int64_t>(filters.size()) % pixels == 0, "{} values are no filters of {} x {} pixels",
        filters.size(), side, side);
  const int64_t count = static_cast<int64_t>(filters.size()) / pixels;
  std::vector<FilterMeasures> measures(static_cast<size_t>(count));
  parallel_for(count, 16, [&](int64_t begin, int64_t end) {
    const Eigen::Map<const RowMajor> chunk(filters.data() + begin * pixels, end - begin, pixels);
    std::vector<Fit> fits = search_grid(chunk, side);
    for (int64_t i = begin; i < end; ++i) {
      const std::span<const float> filter =
          filters.subspan(static_cast<size_t>(i * pixels), static_cast<size_t>(pixels));
      Fit& fit = fits[static_cast<size_t>(i - begin)];
      if (fit.share > 0) refine(fit, filter, side);
      measures[static_cast<size_t>(i)] = {fit.gabor, fit.share, quarter_share(filter, side)};
    }
  });
  return measures;
}

bool is_edge(const FilterMeasures& measures) { return measures.gabor_share > 0.5 && measures.quarter_share > 0.5; }

FilterSummary summarise(std::span<const FilterMeasures> all) {
  CHECK(!all.empty(), "no filters to summarise");
  std::vector<double> gabor, quarter;
  for (const FilterMeasures& one : all) {
    gabor.push_back(one.gabor_share);
    quarter.push_back(one.quarter_share);
  }
  const auto edges = std::count_if(all.begin(), all.end(), is_edge);
  return {static_cast<double>(edges) / static_cast<double>(all.size()), median(gabor), median(quarter)};
}

TileImage tiles(std::span<const float> filters, int64_t filter_side, int64_t columns) {
  const int64_t pixels = filter_side * filter_side;
  const int64_t count = std::min(static_cast<int64_t>(filters.size()) / pixels, columns * columns);
  TileImage image{columns * (filter_side + 1) + 1, {}};
  image.pixels.assign(static_cast<size_t>(image.side * image.side), 255);
  for (int64_t f = 0; f < count; ++f) {
    const float* filter = filters.data() + f * pixels;
    float largest = 0;
    for (int64_t i = 0; i < pixels; ++i) largest = std::max(largest, std::abs(filter[i]));
    const int64_t top = f / columns * (filter_side + 1) + 1, left = f % columns * (filter_side + 1) + 1;
    for (int64_t i = 0; i < pixels; ++i) {
      const float shade = largest > 0 ? 127.5f + 127.5f * filter[i] / largest : 127.5f;
      image.pixels[static_cast<size_t>((top + i / filter_side) * image.side + left + i % filter_side)] =
          static_cast<uint8_t>(std::clamp(std::lround(shade), 0L, 255L));
    }
  }
  return image;
}

}  // namespace sae
