#include "ops/l1_penalty/l1_penalty_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A warp for each row.
template <class T>
SIMT_KERNEL weighted_magnitudes_kernel(SparseRows entries, const T* values, const double* weights, double* sums) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < entries.rows; row += warps_in_grid()) {
    double sum = 0;
    for (int64_t e = entries.begin(row) + lane; e < entries.end(row); e += warp_lanes) {
      sum += static_cast<double>(values[e] < 0 ? -values[e] : values[e]);
    }
    sum = warp_sum(sum);
    if (lane == 0) sums[row] = weights[row] * sum;
  }
}

template <class T>
SIMT_KERNEL weighted_signs_kernel(SparseRows entries, const T* values, const double* weights, T* out) {
  for (int64_t row = warp_in_grid(); row < entries.rows; row += warps_in_grid()) {
    const T weight = static_cast<T>(weights[row]);
    for (int64_t e = entries.begin(row) + threadIdx.x % warp_lanes; e < entries.end(row); e += warp_lanes) {
      const int sign = int{values[e] > 0} - int{values[e] < 0};
      out[e] = weight * static_cast<T>(sign);
    }
  }
}

}  // namespace

template <class T>
void weighted_magnitudes(const Stream& stream, SparseRows entries, const T* values, const double* weights,
                         double* sums) {
  launch(stream, weighted_magnitudes_kernel<T>, blocks_for_warps(entries.rows), threads_per_block, 0, entries, values,
         weights, sums);
}

template <class T>
void weighted_signs(const Stream& stream, SparseRows entries, const T* values, const double* weights, T* out) {
  launch(stream, weighted_signs_kernel<T>, blocks_for_warps(entries.rows), threads_per_block, 0, entries, values,
         weights, out);
}

template void weighted_magnitudes<float>(const Stream&, SparseRows, const float*, const double*, double*);
template void weighted_magnitudes<double>(const Stream&, SparseRows, const double*, const double*, double*);
template void weighted_signs<float>(const Stream&, SparseRows, const float*, const double*, float*);
template void weighted_signs<double>(const Stream&, SparseRows, const double*, const double*, double*);

}  // namespace sae::SIMT_NAMESPACE
