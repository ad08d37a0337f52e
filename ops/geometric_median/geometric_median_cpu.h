#pragma once

#include <cstdint>
#include <vector>

namespace sae::cpu {

/// What one pass over the points x [rows, width] finds at a place y [width]. Points that lie on y are counted and left
/// out of the weighted sums.
struct WeiszfeldSums {
  std::vector<double> weighted;  // [width]: sum of x / |x - y|
  double weight = 0;             // sum of 1 / |x - y|
  double distance = 0;           // sum of |x - y|
  int64_t coinciding = 0;
};
template <class T>
WeiszfeldSums weiszfeld_sums(const T* x, int64_t rows, int64_t width, const std::vector<double>& y);

}  // namespace sae::cpu
