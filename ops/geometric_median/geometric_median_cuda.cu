#include "ops/geometric_median/geometric_median_cuda.h"

#include "engine/host_sum.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

constexpr int64_t chunk_rows = 256;  // whose weighted sum is formed by one thread

// |x - y| for each row, by a warp.
template <class T>
SIMT_KERNEL distances_kernel(const T* x, int64_t rows, int64_t width, const double* y, double* distances) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    double squares = 0;
    for (int64_t i = lane; i < width; i += warp_lanes) {
      const double difference = static_cast<double>(x[row * width + i]) - y[i];
      squares += difference * difference;
    }
    squares = warp_sum(squares);
    if (lane == 0) distances[row] = std::sqrt(squares);
  }
}

// A thread for each column of each chunk of rows.
template <class T>
SIMT_KERNEL weighted_chunks_kernel(const T* x, int64_t rows, int64_t width, const double* distances, double* partial) {
  const int64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
  for (int64_t i = thread_in_grid(); i < chunks * width; i += threads_in_grid()) {
    const int64_t first = i / width * chunk_rows, col = i % width;
    const int64_t last = first + chunk_rows < rows ? first + chunk_rows : rows;
    double sum = 0;
    for (int64_t row = first; row < last; ++row) {
      if (distances[row] != 0) sum += static_cast<double>(x[row * width + col]) / distances[row];
    }
    partial[i] = sum;
  }
}

SIMT_KERNEL add_chunks_kernel(const double* partial, int64_t chunks, int64_t width, double* sums) {
  for (int64_t col = thread_in_grid(); col < width; col += threads_in_grid()) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * width + col];
    sums[col] = sum;
  }
}

}  // namespace

template <class T>
cpu::WeiszfeldSums weiszfeld_sums(Device& device, const T* x, int64_t rows, int64_t width,
                                  const std::vector<double>& y) {
  const int64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
  const auto numbers = [&](int64_t count) { return device.allocate(static_cast<size_t>(count) * sizeof(double)); };
  const auto place = numbers(width), distances = numbers(rows), partial = numbers(chunks * width),
             sums = numbers(width);
  const auto pointer = [](const auto& buffer) { return static_cast<double*>(buffer->data()); };
  device.copy_from_host(place->data(), y.data(), y.size() * sizeof(double));
  launch(device.stream(), distances_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, x, rows, width,
         pointer(place), pointer(distances));
  launch(device.stream(), weighted_chunks_kernel<T>, blocks_for(chunks * width), threads_per_block, 0, x, rows, width,
         pointer(distances), pointer(partial));
  launch(device.stream(), add_chunks_kernel, blocks_for(width), threads_per_block, 0, pointer(partial), chunks, width,
         pointer(sums));
  cpu::WeiszfeldSums total;
  total.weighted = numbers_of(device, sums->data(), width);
  for (const double distance : numbers_of(device, distances->data(), rows)) {
    if (distance == 0) {
      ++total.coinciding;
      continue;
    }
    total.distance += distance;
    total.weight += 1 / distance;
  }
  return total;
}

template cpu::WeiszfeldSums weiszfeld_sums<float>(Device&, const float*, int64_t, int64_t, const std::vector<double>&);
template cpu::WeiszfeldSums weiszfeld_sums<double>(Device&, const double*, int64_t, int64_t,
                                                   const std::vector<double>&);

}  // namespace sae::SIMT_NAMESPACE
