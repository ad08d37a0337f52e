#include "ops/layer_norm/layer_norm_cuda.h"

#include <cmath>

#include "engine/convert.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A warp for each row.
template <class T, class Out>
SIMT_KERNEL layer_norm_kernel(LayerNormRows<T> p, Out* y) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  const T width = static_cast<T>(p.width);
  for (int64_t row = warp_in_grid(); row < p.rows; row += warps_in_grid()) {
    const T* x = p.x + row * p.width;
    T sum = 0, squares = 0;
    for (int64_t j = lane; j < p.width; j += warp_lanes) sum += x[j];
    const T mean = warp_sum(sum) / width;
    for (int64_t j = lane; j < p.width; j += warp_lanes) squares += (x[j] - mean) * (x[j] - mean);
    const T scale = 1 / std::sqrt(warp_sum(squares) / width + p.epsilon);
    for (int64_t j = lane; j < p.width; j += warp_lanes) {
      y[row * p.width + j] = convert<T, Out>(p.gain[j] * ((x[j] - mean) * scale) + p.bias[j]);
    }
  }
}

}  // namespace

template <class T, class Out>
void layer_norm(const Stream& stream, const LayerNormRows<T>& rows, Out* y) {
  launch(stream, layer_norm_kernel<T, Out>, blocks_for_warps(rows.rows), threads_per_block, 0, rows, y);
}

template void layer_norm<float, float>(const Stream&, const LayerNormRows<float>&, float*);
template void layer_norm<float, bfloat16>(const Stream&, const LayerNormRows<float>&, bfloat16*);
template void layer_norm<double, double>(const Stream&, const LayerNormRows<double>&, double*);

}  // namespace sae::SIMT_NAMESPACE
