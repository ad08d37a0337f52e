#pragma once

#include <cstdint>

#include "engine/layout.h"
#include "engine/stream.h"

namespace sae {

/// The stored entries of a sparse matrix grouped by column, in memory of a device (ColumnGroups in gradient.h).
struct GroupedEntries {
  const int64_t* offsets = nullptr;  // [cols + 1]
  const int32_t* rows = nullptr;     // [stored]
  const int32_t* entries = nullptr;  // [stored]
  int64_t cols = 0;
};

/// column_sum of a dense matrix adds up this many rows at a time.
inline constexpr int64_t column_sum_rows = 256;

// What gradient.cpp does on a device that is not the cpu.

/// out[i] = a[i] + b[i].
SIMT_DECLARE(template <class T> void add_elements(const Stream& stream, const T* a, const T* b, T* out, int64_t count))

/// out [rows, a_cols + b_cols] is a [rows, a_cols] beside b [rows, b_cols].
SIMT_DECLARE(template <class T> void side_by_side(const Stream& stream, const T* a, int64_t a_cols, const T* b,
                                                  int64_t b_cols, T* out, int64_t rows))

/// Two compressed matrices of as many rows, row by row: out holds what a stores of a row, then what b does.
SIMT_DECLARE(template <class T>
             void join_rows(const Stream& stream, SparseRows a_rows, const T* a, SparseRows b_rows, const T* b, T* out))

/// Adds the stored entries to dense [rows, cols], in their order where a column repeats.
SIMT_DECLARE(template <class T>
             void add_entries(const Stream& stream, SparseRows sparse, const T* values, int64_t cols, T* dense))

/// out[e] = dense[row][column] at every stored place.
SIMT_DECLARE(template <class T>
             void elements_at(const Stream& stream, SparseRows pattern, const T* dense, int64_t cols, T* out))

/// sum [cols] over x [rows, cols], in double: each column_sum_rows rows in order, then their sums in order.
/// `partial` is scratch [rows / column_sum_rows rounded up, cols].
SIMT_DECLARE(template <class T>
             void column_sums(const Stream& stream, const T* x, int64_t rows, int64_t cols, double* partial, T* sum))

/// The same over grouped entries, a warp for each column.
SIMT_DECLARE(template <class T> void column_sums(const Stream& stream, GroupedEntries groups, const T* values, T* sum))

/// For each stored entry e: its row, and e.
SIMT_DECLARE(void list_entries(const Stream& stream, SparseRows sparse, int32_t* row, int32_t* entry))

/// From the sorted columns, offsets [cols + 1]; and grouped_rows[i] = row[entries[i]].
SIMT_DECLARE(void group_sorted(const Stream& stream, const int32_t* sorted_column, const int32_t* entries,
                               const int32_t* row, int64_t stored, int64_t cols, int64_t* offsets,
                               int32_t* grouped_rows))

/// sum [cols, width] += sparse^T dense, dense [rows, width]: a column's entries in the order of their rows, zeros
/// left out. Without values (null) all are 1.
SIMT_DECLARE(template <class T> void add_transposed_product(const Stream& stream, GroupedEntries groups,
                                                            const T* values, const T* dense, int64_t width, T* sum))

}  // namespace sae
