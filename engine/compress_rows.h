#pragma once

#include "engine/layout.h"
#include "engine/parallel.h"

namespace sae {

/// The elements of a dense x [rows, cols] for which keep(row, col, value) is true, as compressed rows, columns
/// ascending. keep is asked twice for each element, from several threads, and must give one answer. T is x's dtype.
template <class T, class Keep>
CompressedRows compress_rows(const Tensor& x, Keep&& keep) {
  const int64_t rows = x.rows(), cols = x.cols();
  const T* from = x.data<T>();
  Writable offsets = Tensor::empty(x.device(), {rows + 1}, Dtype::i64);
  int64_t* starts = offsets.data<int64_t>();
  starts[0] = 0;
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t count = 0;
      for (int64_t col = 0; col < cols; ++col) count += keep(row, col, from[row * cols + col]);
      starts[row + 1] = count;
    }
  });
  for (int64_t row = 0; row < rows; ++row) starts[row + 1] += starts[row];
  Writable index = Tensor::empty(x.device(), {starts[rows]}, Dtype::i32);
  Writable values = Tensor::empty(x.device(), {starts[rows]}, x.dtype());
  int32_t* columns = index.data<int32_t>();
  T* kept = values.data<T>();
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t next = starts[row];
      const int64_t stop = starts[row + 1];
      for (int64_t col = 0; next < stop; ++col) {
        const T value = from[row * cols + col];
        columns[next] = static_cast<int32_t>(col);  // overwritten unless it counts
        kept[next] = value;
        next += keep(row, col, value);
      }
    }
  });
  return {std::move(offsets).freeze(), std::move(index).freeze(), std::move(values).freeze(), cols};
}

}  // namespace sae
