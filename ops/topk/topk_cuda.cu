#include "ops/topk/topk_cuda.h"

#include <limits>

#include "engine/simt.h"
#include "ops/topk/block_choice.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
struct TopkArguments {
  const T* x;  // [rows, cols]
  int64_t rows, cols, k;
  int32_t* columns;  // [rows, k]
  T* values;         // [rows, k]
  int* first_bad;    // [1]
};

// A block for each row.
template <class T>
SIMT_KERNEL choose_best_kernel(TopkArguments<T> p) {
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const RowChoice<T> choice = {p.x + row * p.cols, p.cols, p.k, p.columns + row * p.k, p.values + row * p.k};
    bool finite = true;
    for (int64_t col = threadIdx.x; col < p.cols; col += buckets) finite = finite && std::isfinite(choice.row[col]);
    if (!finite) atomicMin(p.first_bad, static_cast<int>(row));
    choose_row(choice);
  }
}

template <class T>
SIMT_KERNEL copy_chosen_kernel(const int32_t* columns, int64_t rows, int64_t k, const T* from, int64_t cols, T* to) {
  for (int64_t i = thread_in_grid(); i < rows * k; i += threads_in_grid()) {
    const int64_t at = i / k * cols + columns[i];
    to[at] = from[at];
  }
}

}  // namespace

template <class T>
int64_t choose_best(Device& device, const T* x, int64_t rows, int64_t cols, int64_t k, int32_t* columns, T* values) {
  constexpr int none = std::numeric_limits<int>::max();
  const auto first_bad = device.allocate(sizeof(int));
  device.copy_from_host(first_bad->data(), &none, sizeof none);
  const TopkArguments<T> arguments = {x, rows, cols, k, columns, values, static_cast<int*>(first_bad->data())};
  launch(device.stream(), choose_best_kernel<T>, blocks_for_rows(rows), buckets, 0, arguments);
  int row = none;
  device.copy_to_host(&row, first_bad->data(), sizeof row);
  return row == none ? -1 : row;
}

template <class T>
void copy_chosen(const Stream& stream, const int32_t* columns, int64_t rows, int64_t k, const T* from, int64_t cols,
                 T* to) {
  launch(stream, copy_chosen_kernel<T>, blocks_for(rows * k), threads_per_block, 0, columns, rows, k, from, cols, to);
}

template int64_t choose_best<float>(Device&, const float*, int64_t, int64_t, int64_t, int32_t*, float*);
template int64_t choose_best<double>(Device&, const double*, int64_t, int64_t, int64_t, int32_t*, double*);
template void copy_chosen<float>(const Stream&, const int32_t*, int64_t, int64_t, const float*, int64_t, float*);
template void copy_chosen<double>(const Stream&, const int32_t*, int64_t, int64_t, const double*, int64_t, double*);

}  // namespace sae::SIMT_NAMESPACE
