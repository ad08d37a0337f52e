#include "ops/input_normalisation/input_normalisation_cuda.h"

#include <cmath>

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A warp for each row; sums in double, as on the processor.
template <class T>
SIMT_KERNEL normalise_input_kernel(const T* x, int64_t rows, int64_t width, bool centres, bool scales, T* y, T* mean,
                                   T* norm) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    const T* from = x + row * width;
    T centre = 0, length = 1;
    if (centres) {
      double sum = 0;
      for (int64_t i = lane; i < width; i += warp_lanes) sum += static_cast<double>(from[i]);
      centre = static_cast<T>(warp_sum(sum) / static_cast<double>(width));
    }
    if (scales) {
      double squares = 0;
      for (int64_t i = lane; i < width; i += warp_lanes) {
        const T centred = from[i] - centre;
        squares += static_cast<double>(centred) * static_cast<double>(centred);
      }
      length = static_cast<T>(std::sqrt(warp_sum(squares)));
    }
    const T scale = length > 0 ? 1 / length : T{0};
    for (int64_t i = lane; i < width; i += warp_lanes) y[row * width + i] = (from[i] - centre) * scale;
    if (lane == 0) {
      mean[row] = centre;
      norm[row] = length;
    }
  }
}

template <class T>
SIMT_KERNEL denormalise_input_kernel(const T* y, const T* mean, const T* norm, int64_t rows, int64_t width, T* x) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    for (int64_t i = lane; i < width; i += warp_lanes) x[row * width + i] = y[row * width + i] * norm[row] + mean[row];
  }
}

}  // namespace

template <class T>
void normalise_input(const Stream& stream, const T* x, int64_t rows, int64_t width, bool centres, bool scales, T* y,
                     T* mean, T* norm) {
  launch(stream, normalise_input_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, x, rows, width, centres,
         scales, y, mean, norm);
}

template <class T>
void denormalise_input(const Stream& stream, const T* y, const T* mean, const T* norm, int64_t rows, int64_t width,
                       T* x) {
  launch(stream, denormalise_input_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, y, mean, norm, rows, width,
         x);
}

#define SIMT_INPUT_NORMALISATION(T)                                                                    \
  template void normalise_input<T>(const Stream&, const T*, int64_t, int64_t, bool, bool, T*, T*, T*); \
  template void denormalise_input<T>(const Stream&, const T*, const T*, const T*, int64_t, int64_t, T*);
SIMT_INPUT_NORMALISATION(float)
SIMT_INPUT_NORMALISATION(double)
#undef SIMT_INPUT_NORMALISATION

}  // namespace sae::SIMT_NAMESPACE
