#include "engine/column_kernels.h"

#include "engine/ordered_sum.h"

namespace sae {

double column_block_squares(const double* x, int64_t rows, int64_t stride, int64_t cols, const double* centre) {
  double sum = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const double* values = x + row * stride;
    sum += lane_sum(cols, [&](int64_t i) { return (values[i] - centre[i]) * (values[i] - centre[i]); });
  }
  return sum;
}

}  // namespace sae
