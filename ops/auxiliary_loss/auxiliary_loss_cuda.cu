#include "ops/auxiliary_loss/auxiliary_loss_cuda.h"

#include "engine/simt.h"
#include "ops/topk/block_choice.h"

namespace sae::SIMT_NAMESPACE {
namespace {

SIMT_KERNEL gather_listed_kernel(const float* table, int64_t rows, int64_t width, const int32_t* list, int64_t listed,
                                 float* out) {
  for (int64_t i = thread_in_grid(); i < listed * width; i += threads_in_grid()) {
    const int64_t row = list[i / width];
    out[i] = row < rows ? table[row * width + i % width] : 0;
  }
}

constexpr float below_all = -3.4028234e38f;

SIMT_KERNEL add_bias_kernel(float* pre, int64_t rows, int64_t listed, const float* bias, const int32_t* list,
                            int64_t latents, bool choose_later) {
  for (int64_t i = thread_in_grid(); i < rows * listed; i += threads_in_grid()) {
    const int64_t place = i % listed;
    const float value = list[place] < latents ? pre[i] + bias[place] : below_all;
    pre[i] = choose_later || value > 0 ? value : 0;
  }
}

// A block for each row.
SIMT_KERNEL keep_best_kernel(float* pre, int64_t rows, int64_t listed, int64_t k, int32_t* columns, float* values) {
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    float* const from = pre + row * listed;
    int32_t* const chosen = columns + row * k;
    float* const kept = values + row * k;
    choose_row<float>({from, listed, k, chosen, kept});
    for (int64_t i = threadIdx.x; i < listed; i += blockDim.x) from[i] = 0;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < k; i += blockDim.x) {
      if (kept[i] > 0) from[chosen[i]] = kept[i];
    }
    __syncthreads();
  }
}

constexpr int64_t most_blocks = 1024;  // of a sum over everything

struct ErrorSums {
  double about_mean, about_zero, error;
};

SIMT_DEVICE double square(double x) { return x * x; }

// Each block leaves the sums of its threads' elements.
SIMT_KERNEL error_sums_kernel(const float* residual, const float* column_sums, int64_t rows, int64_t width,
                              float* error, ErrorSums* sums) {
  ErrorSums mine = {0, 0, 0};
  for (int64_t i = thread_in_grid(); i < rows * width; i += threads_in_grid()) {
    const double mean = static_cast<double>(column_sums[i % width]) / static_cast<double>(rows);
    mine.about_mean += square(static_cast<double>(residual[i]) - mean);
    mine.about_zero += square(static_cast<double>(residual[i]));
    error[i] += residual[i];
    mine.error += square(static_cast<double>(error[i]));
  }
  const double about_mean = block_sum(mine.about_mean);
  __syncthreads();
  const double about_zero = block_sum(mine.about_zero);
  __syncthreads();
  const double of_error = block_sum(mine.error);
  if (threadIdx.x == 0) sums[blockIdx.x] = {about_mean, about_zero, of_error};
}

// One thread.
SIMT_KERNEL auxiliary_loss_kernel(const ErrorSums* sums, int64_t blocks, double elements, const int32_t* list,
                                  int64_t latents, float* loss, float* factor) {
  ErrorSums all = {0, 0, 0};
  for (int64_t i = 0; i < blocks; ++i) {
    all = {all.about_mean + sums[i].about_mean, all.about_zero + sums[i].about_zero, all.error + sums[i].error};
  }
  // As in normalised_mse: what is below the rounding of a mean is no variance; here the mean was rounded to a float.
  const bool varies = all.about_mean > 1e-12 * all.about_zero;
  const double scale = varies && *list < latents ? elements / all.about_mean : 0;
  *loss = static_cast<float>(scale * all.error / elements);
  *factor = static_cast<float>(2 * scale / elements);
}

SIMT_KERNEL scale_kernel(const float* x, const float* factor, float weight, float* out, int64_t count) {
  const float by = *factor * weight;
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = by * x[i];
}

}  // namespace

void gather_listed(const Stream& stream, const float* table, int64_t rows, int64_t width, const int32_t* list,
                   int64_t listed, float* out) {
  launch(stream, gather_listed_kernel, blocks_for(listed * width), threads_per_block, 0, table, rows, width, list,
         listed, out);
}

void keep_best(Device& device, float* pre, int64_t rows, int64_t listed, const float* bias, const int32_t* list,
               int64_t latents, int64_t k) {
  launch(device.stream(), add_bias_kernel, blocks_for(rows * listed), threads_per_block, 0, pre, rows, listed, bias,
         list, latents, listed > k);
  if (listed <= k) return;
  const auto columns = device.allocate(static_cast<size_t>(rows * k) * sizeof(int32_t));
  const auto values = device.allocate(static_cast<size_t>(rows * k) * sizeof(float));
  launch(device.stream(), keep_best_kernel, blocks_for_rows(rows), buckets, 0, pre, rows, listed, k,
         static_cast<int32_t*>(columns->data()), static_cast<float*>(values->data()));
}

void auxiliary_error(Device& device, const float* residual, const float* column_sums, int64_t rows, int64_t width,
                     const int32_t* list, int64_t latents, float* error, float* loss, float* factor) {
  const Stream& stream = device.stream();
  const int64_t wanted = blocks_for(rows * width), blocks = wanted < most_blocks ? wanted : most_blocks;
  const auto room = device.allocate(static_cast<size_t>(blocks) * sizeof(ErrorSums));
  launch(stream, error_sums_kernel, static_cast<unsigned>(blocks), threads_per_block, 0, residual, column_sums, rows,
         width, error, static_cast<ErrorSums*>(room->data()));
  launch(stream, auxiliary_loss_kernel, 1, 1, 0, static_cast<const ErrorSums*>(room->data()), blocks,
         static_cast<double>(rows * width), list, latents, loss, factor);
}

void scale_error(const Stream& stream, const float* error, const float* factor, float weight, float* out,
                 int64_t count) {
  launch(stream, scale_kernel, blocks_for(count), threads_per_block, 0, error, factor, weight, out, count);
}

}  // namespace sae::SIMT_NAMESPACE
