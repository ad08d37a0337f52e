#include "ops/normalised_mse/normalised_mse_cuda.h"

#include "engine/host_sum.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

constexpr int64_t max_blocks = 1024;  // of a sum over everything: so many partial sums go to the host

SIMT_DEVICE double square(double x) { return x * x; }

// Each block leaves the sum of its threads' elements; the differences are taken in T, as on the cpu.
template <class T>
SIMT_KERNEL squared_difference_kernel(const T* a, const T* b, int64_t count, double* sums) {
  double sum = 0;
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const T difference = a[i] - b[i];
    sum += square(static_cast<double>(difference));
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <class T>
SIMT_KERNEL scaled_difference_kernel(const T* a, const T* b, T factor, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = factor * (a[i] - b[i]);
}

// A thread for each column: its mean, then the squares about it and about zero.
template <class T>
SIMT_KERNEL square_sums_kernel(const T* x, int64_t rows, int64_t cols, double* about_mean, double* about_zero) {
  for (int64_t col = thread_in_grid(); col < cols; col += threads_in_grid()) {
    double mean = 0;
    for (int64_t row = 0; row < rows; ++row) mean += static_cast<double>(x[row * cols + col]);
    mean /= static_cast<double>(rows);
    double centred = 0, plain = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const double value = static_cast<double>(x[row * cols + col]);
      centred += square(value - mean);
      plain += square(value);
    }
    about_mean[col] = centred;
    about_zero[col] = plain;
  }
}

// A warp for each row; -1 marks a row of zeros.
template <class T>
SIMT_KERNEL relative_squares_kernel(const T* a, const T* b, int64_t rows, int64_t cols, double* ratios) {
  const int lane = static_cast<int>(threadIdx.x % warp_lanes);
  for (int64_t row = warp_in_grid(); row < rows; row += warps_in_grid()) {
    double error = 0, size = 0;
    for (int64_t col = lane; col < cols; col += warp_lanes) {
      const double target = static_cast<double>(b[row * cols + col]);
      error += square(static_cast<double>(a[row * cols + col]) - target);
      size += square(target);
    }
    error = warp_sum(error);
    size = warp_sum(size);
    if (lane == 0) ratios[row] = size == 0 ? -1 : error / size;
  }
}

/// Room for `count` numbers on a device.
struct Numbers {
  Numbers(Device& device, int64_t count) : buffer(device.allocate(static_cast<size_t>(count) * sizeof(double))) {}
  double* data() const { return static_cast<double*>(buffer->data()); }
  std::shared_ptr<Buffer> buffer;
};

}  // namespace

template <class T>
double squared_difference(Device& device, const T* a, const T* b, int64_t count) {
  const int64_t wanted = blocks_for(count), blocks = wanted < max_blocks ? wanted : max_blocks;
  const Numbers sums(device, blocks);
  launch(device.stream(), squared_difference_kernel<T>, static_cast<unsigned>(blocks), threads_per_block, 0, a, b,
         count, sums.data());
  return sum_of(device, sums.data(), blocks);
}

template <class T>
void scaled_difference(const Stream& stream, const T* a, const T* b, T factor, T* out, int64_t count) {
  launch(stream, scaled_difference_kernel<T>, blocks_for(count), threads_per_block, 0, a, b, factor, out, count);
}

template <class T>
void square_sums(Device& device, const T* x, int64_t rows, int64_t cols, double& about_mean, double& about_zero) {
  const Numbers centred(device, cols), plain(device, cols);
  launch(device.stream(), square_sums_kernel<T>, blocks_for(cols), threads_per_block, 0, x, rows, cols, centred.data(),
         plain.data());
  about_mean = rows == 0 ? 0 : sum_of(device, centred.data(), cols);
  about_zero = rows == 0 ? 0 : sum_of(device, plain.data(), cols);
}

template <class T>
double relative_squares(Device& device, const T* a, const T* b, int64_t rows, int64_t cols, int64_t& zero_row) {
  const Numbers ratios(device, rows);
  launch(device.stream(), relative_squares_kernel<T>, blocks_for_warps(rows), threads_per_block, 0, a, b, rows, cols,
         ratios.data());
  const std::vector<double> values = numbers_of(device, ratios.data(), rows);
  zero_row = -1;
  double sum = 0;
  for (int64_t row = rows - 1; row >= 0; --row) {
    if (values[static_cast<size_t>(row)] < 0) zero_row = row;
  }
  for (const double value : values) sum += value;
  return sum;
}

#define SIMT_MSE(T)                                                                      \
  template double squared_difference<T>(Device&, const T*, const T*, int64_t);           \
  template void scaled_difference<T>(const Stream&, const T*, const T*, T, T*, int64_t); \
  template void square_sums<T>(Device&, const T*, int64_t, int64_t, double&, double&);   \
  template double relative_squares<T>(Device&, const T*, const T*, int64_t, int64_t, int64_t&);
SIMT_MSE(float)
SIMT_MSE(double)
#undef SIMT_MSE

}  // namespace sae::SIMT_NAMESPACE
