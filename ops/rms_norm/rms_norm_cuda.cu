#include "ops/rms_norm/rms_norm_cuda.h"

#include <cmath>

#include "engine/convert.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A warp for each vector.
template <class T, class Out>
SIMT_KERNEL rms_norm_kernel(NormVectors vectors, const T* x, const T* gain, T epsilon, Out* y) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t vector = warp_in_grid(); vector < vectors.rows * vectors.in_row; vector += warps_in_grid()) {
    const int64_t row = vector / vectors.in_row, in_row = vector % vectors.in_row;
    const int64_t at = row * vectors.cols + vectors.first + in_row * vectors.width;
    T sum = 0;
    for (int64_t j = lane; j < vectors.width; j += warp_lanes) sum += x[at + j] * x[at + j];
    const T scale = 1 / std::sqrt(warp_sum(sum) / static_cast<T>(vectors.width) + epsilon);
    for (int64_t j = lane; j < vectors.width; j += warp_lanes) {
      y[at + j] = convert<T, Out>(gain[j] * (x[at + j] * scale));
    }
  }
}

}  // namespace

template <class T, class Out>
void rms_norm(const Stream& stream, const NormVectors& vectors, const T* x, const T* gain, T epsilon, Out* y) {
  launch(stream, rms_norm_kernel<T, Out>, blocks_for_warps(vectors.rows * vectors.in_row), threads_per_block, 0,
         vectors, x, gain, epsilon, y);
}

template void rms_norm<float, float>(const Stream&, const NormVectors&, const float*, const float*, float, float*);
template void rms_norm<float, bfloat16>(const Stream&, const NormVectors&, const float*, const float*, float,
                                        bfloat16*);
template void rms_norm<double, double>(const Stream&, const NormVectors&, const double*, const double*, double,
                                       double*);

}  // namespace sae::SIMT_NAMESPACE
