#include "ops/dead_latents/dead_latents_cuda.h"

#include "engine/scan_cuda.h"
#include "engine/simt.h"
#include "ops/topk/block_choice.h"

namespace sae::SIMT_NAMESPACE {
namespace {

SIMT_KERNEL rows_since_fired_kernel(const int32_t* fired, int64_t latents, int64_t rows, int64_t* rows_since_fired,
                                    int* active) {
  int mine = 0;
  for (int64_t j = thread_in_grid(); j < latents; j += threads_in_grid()) {
    rows_since_fired[j] = fired[j] > 0 ? 0 : rows_since_fired[j] + rows;
    mine += fired[j];
  }
  if (mine > 0) atomicAdd(active, mine);  // whole numbers: the order does not matter
}

SIMT_KERNEL mark_dead_kernel(const int64_t* rows_since_fired, int64_t latents, int64_t dead_after, int64_t* marks,
                             int32_t* list, int64_t capacity) {
  for (int64_t j = thread_in_grid(); j < latents; j += threads_in_grid()) {
    marks[j] = rows_since_fired[j] >= dead_after ? 1 : 0;
    if (j < capacity) list[j] = static_cast<int32_t>(latents);
  }
}

// places[j]: how many dead latents there are up to j.
SIMT_KERNEL place_dead_kernel(const int64_t* places, int64_t latents, int32_t* list, int64_t capacity, int* dead) {
  for (int64_t j = thread_in_grid(); j < latents; j += threads_in_grid()) {
    const int64_t before = j == 0 ? 0 : places[j - 1];
    if (places[j] > before && before < capacity) list[before] = static_cast<int32_t>(j);
    if (j == latents - 1) *dead = static_cast<int>(places[j]);
  }
}

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
    choose_row<float>({from, nullptr, listed, k, chosen, kept});
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
SIMT_KERNEL auxiliary_loss_kernel(const ErrorSums* sums, int64_t blocks, double elements, double weight,
                                  const int32_t* list, int64_t latents, float* loss, float* factor) {
  ErrorSums all = {0, 0, 0};
  for (int64_t i = 0; i < blocks; ++i) {
    all = {all.about_mean + sums[i].about_mean, all.about_zero + sums[i].about_zero, all.error + sums[i].error};
  }
  // As in normalised_mse: what is below the rounding of a mean is no variance; here the mean was rounded to a float.
  const bool varies = all.about_mean > 1e-12 * all.about_zero;
  const double scale = varies && *list < latents ? elements / all.about_mean : 0;
  *loss = static_cast<float>(scale * all.error / elements);
  *factor = static_cast<float>(weight * 2 * scale / elements);
}

SIMT_KERNEL scale_kernel(const float* factor, float* x, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) x[i] = *factor * x[i];
}

}  // namespace

void count_rows_since_fired(const Stream& stream, const int32_t* fired, int64_t latents, int64_t rows,
                            int64_t* rows_since_fired, int* active) {
  launch(stream, rows_since_fired_kernel, blocks_for(latents), threads_per_block, 0, fired, latents, rows,
         rows_since_fired, active);
}

void list_dead(Device& device, const int64_t* rows_since_fired, int64_t latents, int64_t dead_after, int32_t* list,
               int64_t capacity, int* dead) {
  const auto room = device.allocate(static_cast<size_t>(latents) * sizeof(int64_t));
  auto* const places = static_cast<int64_t*>(room->data());
  launch(device.stream(), mark_dead_kernel, blocks_for(latents), threads_per_block, 0, rows_since_fired, latents,
         dead_after, places, list, capacity);
  inclusive_sum(device, places, latents);
  launch(device.stream(), place_dead_kernel, blocks_for(latents), threads_per_block, 0, places, latents, list, capacity,
         dead);
}

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
                     double weight, const int32_t* list, int64_t latents, float* error, float* loss) {
  const Stream& stream = device.stream();
  const int64_t wanted = blocks_for(rows * width), blocks = wanted < most_blocks ? wanted : most_blocks;
  const auto room = device.allocate(static_cast<size_t>(blocks) * sizeof(ErrorSums));
  const auto factor = device.allocate(sizeof(float));
  launch(stream, error_sums_kernel, static_cast<unsigned>(blocks), threads_per_block, 0, residual, column_sums, rows,
         width, error, static_cast<ErrorSums*>(room->data()));
  launch(stream, auxiliary_loss_kernel, 1, 1, 0, static_cast<const ErrorSums*>(room->data()), blocks,
         static_cast<double>(rows * width), weight, list, latents, loss, static_cast<float*>(factor->data()));
  launch(stream, scale_kernel, blocks_for(rows * width), threads_per_block, 0,
         static_cast<const float*>(factor->data()), error, rows * width);
}

}  // namespace sae::SIMT_NAMESPACE
