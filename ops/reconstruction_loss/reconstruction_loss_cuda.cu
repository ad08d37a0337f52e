#include "ops/reconstruction_loss/reconstruction_loss_cuda.h"

#include "engine/warp_rows.h"

namespace sae::SIMT_NAMESPACE {
namespace {

constexpr int64_t rows_together = 16;  // as on the cpu: the squares of so many rows are added up first

// A block for each row: neighbouring threads read neighbouring elements of the dictionary's rows; then, while these are
// in the cache, each warp takes some of their products with the residual.
template <class T>
SIMT_KERNEL reconstruct_kernel(ReconstructionTask<T> task, double* squares) {
  const int64_t width = task.width;
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  const int64_t warp = threadIdx.x / warp_lanes, warps = blockDim.x / warp_lanes;
  for (int64_t row = blockIdx.x; row < task.entries.rows; row += gridDim.x) {
    const int64_t begin = task.entries.begin(row), end = task.entries.end(row);
    const int32_t* const index = task.entries.index;
    T* const residual = task.residual + row * width;
    for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
      T sum = 0;
      for (int64_t e = begin; e < end; ++e) {
        const T value = task.values[e];
        if (value != 0) sum += value * task.dictionary[index[e] * width + i];
      }
      residual[i] = sum + task.bias[i] - task.x[row * width + i];
    }
    __syncthreads();
    if (warp == 0) {
      const T square = warp_dot(residual, residual, width);
      if (lane == 0) squares[row] = static_cast<double>(square);
    }
    if (task.products == nullptr) continue;
    for (int64_t e = begin + warp; e < end; e += warps) {
      const T product = warp_dot(residual, task.dictionary + index[e] * width, width);
      if (lane == 0) task.products[e] = product;
    }
  }
}

// A thread for each few rows.
SIMT_KERNEL sum_rows_kernel(const double* squares, int64_t rows, double* parts, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    double sum = 0;
    for (int64_t row = i * rows_together; row < (i + 1) * rows_together && row < rows; ++row) sum += squares[row];
    parts[i] = sum;
  }
}

// One thread, so that the order is the cpu's: 8,192 additions for 131,072 rows.
template <class T>
SIMT_KERNEL loss_kernel(const double* parts, int64_t count, double scale, double elements, T* loss) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += parts[i];
  *loss = elements == 0 ? T{0} : static_cast<T>(scale * sum / elements);
}

template <class T>
SIMT_KERNEL scale_by_loss_kernel(const T* x, const T* gradient, double scale, double elements, T* out, int64_t count) {
  const T factor = loss_factor(*gradient, scale, elements);
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = factor * x[i];
}

}  // namespace

template <class T>
void reconstruct(Device& device, const ReconstructionTask<T>& task, double scale, T* loss) {
  const int64_t rows = task.entries.rows, count = (rows + rows_together - 1) / rows_together;
  const auto sums = device.allocate(static_cast<size_t>(rows + count) * sizeof(double));
  auto* const squares = static_cast<double*>(sums->data());
  launch(device.stream(), reconstruct_kernel<T>, blocks_for_rows(rows), threads_per_block, 0, task, squares);
  launch(device.stream(), sum_rows_kernel, blocks_for(count), threads_per_block, 0, squares, rows, squares + rows,
         count);
  launch(device.stream(), loss_kernel<T>, 1, 1, 0, squares + rows, count, scale, static_cast<double>(rows * task.width),
         loss);
}

template <class T>
void scale_by_loss(const Stream& stream, const T* x, const T* gradient, double scale, double elements, T* out,
                   int64_t count) {
  launch(stream, scale_by_loss_kernel<T>, blocks_for(count), threads_per_block, 0, x, gradient, scale, elements, out,
         count);
}

#define SIMT_RECONSTRUCTION(T)                                                     \
  template void reconstruct<T>(Device&, const ReconstructionTask<T>&, double, T*); \
  template void scale_by_loss<T>(const Stream&, const T*, const T*, double, double, T*, int64_t);
SIMT_RECONSTRUCTION(float)
SIMT_RECONSTRUCTION(double)
#undef SIMT_RECONSTRUCTION

}  // namespace sae::SIMT_NAMESPACE
