#include "engine/gradient_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL add_kernel(const T* a, const T* b, T* out, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) out[i] = a[i] + b[i];
}

template <class T>
SIMT_KERNEL side_by_side_kernel(const T* a, int64_t a_cols, const T* b, int64_t b_cols, T* out, int64_t rows) {
  const int64_t cols = a_cols + b_cols;
  for (int64_t i = thread_in_grid(); i < rows * cols; i += threads_in_grid()) {
    const int64_t row = i / cols, col = i % cols;
    out[i] = col < a_cols ? a[row * a_cols + col] : b[row * b_cols + col - a_cols];
  }
}

// A warp for each row.
template <class T>
SIMT_KERNEL join_rows_kernel(SparseRows a_rows, const T* a, SparseRows b_rows, const T* b, T* out) {
  const int lane = threadIdx.x % warp_lanes;
  for (int64_t row = warp_in_grid(); row < a_rows.rows; row += warps_in_grid()) {
    const int64_t a_begin = a_rows.begin(row), a_count = a_rows.end(row) - a_begin;
    const int64_t b_begin = b_rows.begin(row), b_count = b_rows.end(row) - b_begin;
    T* to = out + a_begin + b_begin;
    for (int64_t i = lane; i < a_count; i += warp_lanes) to[i] = a[a_begin + i];
    for (int64_t i = lane; i < b_count; i += warp_lanes) to[a_count + i] = b[b_begin + i];
  }
}

// A warp for each row. A lane takes the columns that are its number modulo 32, so that entries of one column meet in
// one lane, which adds them in order.
template <class T>
SIMT_KERNEL add_entries_kernel(SparseRows sparse, const T* values, int64_t cols, T* dense) {
  const int lane = threadIdx.x % warp_lanes;
  for (int64_t row = warp_in_grid(); row < sparse.rows; row += warps_in_grid()) {
    for (int64_t e = sparse.begin(row); e < sparse.end(row); ++e) {
      const int32_t col = sparse.index[e];
      if (col % warp_lanes == lane) dense[row * cols + col] += values[e];
    }
  }
}

template <class T>
SIMT_KERNEL elements_at_kernel(SparseRows pattern, const T* dense, int64_t cols, T* out) {
  for (int64_t row = warp_in_grid(); row < pattern.rows; row += warps_in_grid()) {
    for (int64_t e = pattern.begin(row) + threadIdx.x % warp_lanes; e < pattern.end(row); e += warp_lanes) {
      out[e] = dense[row * cols + pattern.index[e]];
    }
  }
}

// A thread for each column of each chunk of rows.
template <class T>
SIMT_KERNEL chunk_sums_kernel(const T* x, int64_t rows, int64_t cols, double* partial) {
  const int64_t chunks = (rows + column_sum_rows - 1) / column_sum_rows;
  for (int64_t i = thread_in_grid(); i < chunks * cols; i += threads_in_grid()) {
    const int64_t first = i / cols * column_sum_rows, col = i % cols;
    const int64_t last = first + column_sum_rows < rows ? first + column_sum_rows : rows;
    double sum = 0;
    for (int64_t row = first; row < last; ++row) sum += static_cast<double>(x[row * cols + col]);
    partial[i] = sum;
  }
}

template <class T>
SIMT_KERNEL sum_chunks_kernel(const double* partial, int64_t chunks, int64_t cols, T* out) {
  for (int64_t col = thread_in_grid(); col < cols; col += threads_in_grid()) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partial[chunk * cols + col];
    out[col] = static_cast<T>(sum);
  }
}

template <class T>
SIMT_KERNEL group_sums_kernel(GroupedEntries groups, const T* values, T* out) {
  const int lane = threadIdx.x % warp_lanes;
  for (int64_t col = warp_in_grid(); col < groups.cols; col += warps_in_grid()) {
    double sum = 0;
    for (int64_t i = groups.offsets[col] + lane; i < groups.offsets[col + 1]; i += warp_lanes) {
      sum += static_cast<double>(values[groups.entries[i]]);
    }
    sum = warp_sum(sum);
    if (lane == 0) out[col] = static_cast<T>(sum);
  }
}

SIMT_KERNEL list_entries_kernel(SparseRows sparse, int32_t* row_of, int32_t* entry) {
  for (int64_t row = warp_in_grid(); row < sparse.rows; row += warps_in_grid()) {
    for (int64_t e = sparse.begin(row) + threadIdx.x % warp_lanes; e < sparse.end(row); e += warp_lanes) {
      row_of[e] = static_cast<int32_t>(row);
      entry[e] = static_cast<int32_t>(e);
    }
  }
}

SIMT_KERNEL grouped_rows_kernel(const int32_t* entries, const int32_t* row, int64_t stored, int32_t* grouped_rows) {
  for (int64_t i = thread_in_grid(); i < stored; i += threads_in_grid()) grouped_rows[i] = row[entries[i]];
}

// The first place whose column is not below `col`, by bisection.
SIMT_KERNEL offsets_kernel(const int32_t* sorted_column, int64_t stored, int64_t cols, int64_t* offsets) {
  for (int64_t col = thread_in_grid(); col <= cols; col += threads_in_grid()) {
    int64_t low = 0, high = stored;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (sorted_column[middle] < col) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    offsets[col] = low;
  }
}

// A thread for each element of the result, which walks its column's entries; nobody else writes to it. Neighbours read
// neighbouring elements of one row.
template <class T>
SIMT_KERNEL transposed_product_kernel(GroupedEntries groups, const T* values, const T* dense, int64_t width, T* sum) {
  for (int64_t i = thread_in_grid(); i < groups.cols * width; i += threads_in_grid()) {
    const int64_t col = i / width, at = i % width;
    T total = sum[i];
    for (int64_t e = groups.offsets[col]; e < groups.offsets[col + 1]; ++e) {
      const T scale = values != nullptr ? values[groups.entries[e]] : T{1};
      if (scale != 0) total += scale * dense[groups.rows[e] * width + at];
    }
    sum[i] = total;
  }
}

}  // namespace

template <class T>
void add_elements(const Stream& stream, const T* a, const T* b, T* out, int64_t count) {
  launch(stream, add_kernel<T>, blocks_for(count), threads_per_block, 0, a, b, out, count);
}

template <class T>
void side_by_side(const Stream& stream, const T* a, int64_t a_cols, const T* b, int64_t b_cols, T* out, int64_t rows) {
  launch(stream, side_by_side_kernel<T>, blocks_for(rows * (a_cols + b_cols)), threads_per_block, 0, a, a_cols, b,
         b_cols, out, rows);
}

template <class T>
void join_rows(const Stream& stream, SparseRows a_rows, const T* a, SparseRows b_rows, const T* b, T* out) {
  launch(stream, join_rows_kernel<T>, blocks_for_warps(a_rows.rows), threads_per_block, 0, a_rows, a, b_rows, b, out);
}

template <class T>
void add_entries(const Stream& stream, SparseRows sparse, const T* values, int64_t cols, T* dense) {
  launch(stream, add_entries_kernel<T>, blocks_for_warps(sparse.rows), threads_per_block, 0, sparse, values, cols,
         dense);
}

template <class T>
void elements_at(const Stream& stream, SparseRows pattern, const T* dense, int64_t cols, T* out) {
  launch(stream, elements_at_kernel<T>, blocks_for_warps(pattern.rows), threads_per_block, 0, pattern, dense, cols,
         out);
}

template <class T>
void column_sums(const Stream& stream, const T* x, int64_t rows, int64_t cols, double* partial, T* sum) {
  const int64_t chunks = (rows + column_sum_rows - 1) / column_sum_rows;
  launch(stream, chunk_sums_kernel<T>, blocks_for(chunks * cols), threads_per_block, 0, x, rows, cols, partial);
  launch(stream, sum_chunks_kernel<T>, blocks_for(cols), threads_per_block, 0, partial, chunks, cols, sum);
}

template <class T>
void column_sums(const Stream& stream, GroupedEntries groups, const T* values, T* sum) {
  launch(stream, group_sums_kernel<T>, blocks_for_warps(groups.cols), threads_per_block, 0, groups, values, sum);
}

void list_entries(const Stream& stream, SparseRows sparse, int32_t* row, int32_t* entry) {
  launch(stream, list_entries_kernel, blocks_for_warps(sparse.rows), threads_per_block, 0, sparse, row, entry);
}

void group_sorted(const Stream& stream, const int32_t* sorted_column, const int32_t* entries, const int32_t* row,
                  int64_t stored, int64_t cols, int64_t* offsets, int32_t* grouped_rows) {
  launch(stream, grouped_rows_kernel, blocks_for(stored), threads_per_block, 0, entries, row, stored, grouped_rows);
  launch(stream, offsets_kernel, blocks_for(cols + 1), threads_per_block, 0, sorted_column, stored, cols, offsets);
}

template <class T>
void add_transposed_product(const Stream& stream, GroupedEntries groups, const T* values, const T* dense, int64_t width,
                            T* sum) {
  launch(stream, transposed_product_kernel<T>, blocks_for(groups.cols * width), threads_per_block, 0, groups, values,
         dense, width, sum);
}

#define SIMT_GRADIENT(T)                                                                           \
  template void add_elements<T>(const Stream&, const T*, const T*, T*, int64_t);                   \
  template void side_by_side<T>(const Stream&, const T*, int64_t, const T*, int64_t, T*, int64_t); \
  template void join_rows<T>(const Stream&, SparseRows, const T*, SparseRows, const T*, T*);       \
  template void add_entries<T>(const Stream&, SparseRows, const T*, int64_t, T*);                  \
  template void elements_at<T>(const Stream&, SparseRows, const T*, int64_t, T*);                  \
  template void column_sums<T>(const Stream&, const T*, int64_t, int64_t, double*, T*);            \
  template void column_sums<T>(const Stream&, GroupedEntries, const T*, T*);                       \
  template void add_transposed_product<T>(const Stream&, GroupedEntries, const T*, const T*, int64_t, T*);
SIMT_GRADIENT(float)
SIMT_GRADIENT(double)
#undef SIMT_GRADIENT
template void add_elements<int64_t>(const Stream&, const int64_t*, const int64_t*, int64_t*, int64_t);
template void join_rows<int32_t>(const Stream&, SparseRows, const int32_t*, SparseRows, const int32_t*, int32_t*);
template void side_by_side<int32_t>(const Stream&, const int32_t*, int64_t, const int32_t*, int64_t, int32_t*, int64_t);

}  // namespace sae::SIMT_NAMESPACE
