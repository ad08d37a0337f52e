#include "ops/error_sums/error_sums_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

SIMT_DEVICE double square(double x) { return x * x; }

// A warp for each row.
template <class T>
SIMT_KERNEL row_errors_kernel(ErrorTask<T> task) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < task.rows; row += warps_in_grid()) {
    double error = 0, energy = 0, squares = 0, latents = 0;
    for (int64_t i = lane; i < task.width; i += warp_lanes) {
      const double value = static_cast<double>(task.x[row * task.width + i]);
      error += square(value - static_cast<double>(task.y[row * task.width + i]));
      energy += square(value - task.mean[i]);
      squares += square(value);
    }
    for (int64_t e = task.entries.begin(row) + lane; e < task.entries.end(row); e += warp_lanes) {
      latents += static_cast<double>(task.latents[e]);
    }
    error = warp_sum(error);
    energy = warp_sum(energy);
    squares = warp_sum(squares);
    latents = warp_sum(latents);
    if (lane != 0) continue;
    double* to = task.of_rows + 4 * row;
    to[0] = error;
    to[1] = energy;
    to[2] = squares;
    to[3] = latents;
  }
}

// A thread for each column, rows in order: the sums go on where the batch before left them.
template <class T>
SIMT_KERNEL column_errors_kernel(ErrorTask<T> task) {
  for (int64_t i = thread_in_grid(); i < task.width; i += threads_in_grid()) {
    double x_sum = task.sums[i], error_sum = task.sums[task.width + i];
    for (int64_t row = 0; row < task.rows; ++row) {
      const double value = static_cast<double>(task.x[row * task.width + i]);
      x_sum += value;
      error_sum += value - static_cast<double>(task.y[row * task.width + i]);
    }
    task.sums[i] = x_sum;
    task.sums[task.width + i] = error_sum;
  }
}

}  // namespace

template <class T>
void add_errors(const Stream& stream, const ErrorTask<T>& task) {
  launch(stream, row_errors_kernel<T>, blocks_for_warps(task.rows), threads_per_block, 0, task);
  launch(stream, column_errors_kernel<T>, blocks_for(task.width), threads_per_block, 0, task);
}

template void add_errors<float>(const Stream&, const ErrorTask<float>&);
template void add_errors<double>(const Stream&, const ErrorTask<double>&);

}  // namespace sae::SIMT_NAMESPACE
