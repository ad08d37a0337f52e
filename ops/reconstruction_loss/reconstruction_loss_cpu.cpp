#include "ops/reconstruction_loss/reconstruction_loss_cpu.h"

#include "engine/ordered_sum.h"
#include "engine/row_kernels.h"

namespace sae::cpu {

namespace {

template <class T>
void prefetch_row(const T* row, int64_t width) {
  constexpr int64_t line = 64 / static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < width; i += line) __builtin_prefetch(row + i, 0, 2);
}

}  // namespace

template <class T>
double reconstruct(const ReconstructionTask<T>& task) {
  const int64_t width = task.width;
  constexpr int64_t rows_at_once = 16;
  return ordered_sum(task.entries.rows, rows_at_once, [&](int64_t first, int64_t last) {
    double squares = 0;
    for (int64_t row = first; row < last; ++row) {
      const int64_t begin = task.entries.begin(row), end = task.entries.end(row);
      const int32_t* index = task.entries.index;
      const T* x = task.x + row * width;
      prefetch_row(x, width);  // wanted when the decoder's rows have been added up
      T* residual = task.residual + row * width;
      weighted_rows(task.values + begin, index + begin, end - begin, task.dictionary, width, residual,
                    task.entries.stored() - end);
      add_scaled(residual, T{1}, task.bias, width);
      add_scaled(residual, T{-1}, x, width);
      squares += static_cast<double>(dot(residual, residual, width));
      if (task.products == nullptr) continue;
      for (int64_t e = begin; e < end; ++e) {
        task.products[e] = dot(residual, task.dictionary + int64_t{index[e]} * width, width);
      }
    }
    return squares;
  });
}

template double reconstruct<float>(const ReconstructionTask<float>&);
template double reconstruct<double>(const ReconstructionTask<double>&);

}  // namespace sae::cpu
