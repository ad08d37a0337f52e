#include "ops/normalised_mse/normalised_mse_cpu.h"

#include <algorithm>
#include <array>

#include "engine/column_kernels.h"
#include "engine/ordered_sum.h"

namespace sae::cpu {
namespace {

template <class T>
double square(T x) {
  return static_cast<double>(x) * static_cast<double>(x);
}

}  // namespace

template <class T>
double squared_difference(const T* a, const T* b, int64_t count) {
  return ordered_sum(count, grain_for(1), [&](int64_t begin, int64_t end) {
    return lane_sum(end - begin, [&](int64_t i) { return square(a[begin + i] - b[begin + i]); });
  });
}

template <class T>
void scaled_difference(const T* a, const T* b, T factor, T* out, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = factor * (a[i] - b[i]);
  });
}

template <class T>
SquareSums square_sums(const T* x, int64_t rows, int64_t cols) {
  SquareSums sums;
  sums.about_mean = ordered_sum(cols, column_block, [&](int64_t first, int64_t last) {
    std::array<double, column_block> mean{};
    column_block_sums(x + first, rows, cols, last - first, mean.data());
    for (double& m : mean) m /= static_cast<double>(rows);
    return column_block_squares(x + first, rows, cols, last - first, mean.data());
  });
  const std::array<double, column_block> zeros{};
  sums.about_zero = ordered_sum(cols, column_block, [&](int64_t first, int64_t last) {
    return column_block_squares(x + first, rows, cols, last - first, zeros.data());
  });
  return sums;
}

template <class T>
double relative_squares(const T* a, const T* b, int64_t rows, int64_t cols, int64_t& zero_row) {
  std::vector<double> ratios(static_cast<size_t>(rows));
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* p = a + row * cols;
      const T* t = b + row * cols;
      const double size = lane_sum(cols, [&](int64_t i) { return square(t[i]); });
      const double error =
          lane_sum(cols, [&](int64_t i) { return square(static_cast<double>(p[i]) - static_cast<double>(t[i])); });
      ratios[static_cast<size_t>(row)] = size == 0 ? -1 : error / size;
    }
  });
  const auto zero = std::find(ratios.begin(), ratios.end(), -1.0);
  zero_row = zero == ratios.end() ? -1 : zero - ratios.begin();
  return lane_sum(rows, [&](int64_t row) { return ratios[static_cast<size_t>(row)]; });
}

template double squared_difference<float>(const float*, const float*, int64_t);
template double squared_difference<double>(const double*, const double*, int64_t);
template void scaled_difference<float>(const float*, const float*, float, float*, int64_t);
template void scaled_difference<double>(const double*, const double*, double, double*, int64_t);
template SquareSums square_sums<float>(const float*, int64_t, int64_t);
template SquareSums square_sums<double>(const double*, int64_t, int64_t);
template double relative_squares<float>(const float*, const float*, int64_t, int64_t, int64_t&);
template double relative_squares<double>(const double*, const double*, int64_t, int64_t, int64_t&);

}  // namespace sae::cpu
