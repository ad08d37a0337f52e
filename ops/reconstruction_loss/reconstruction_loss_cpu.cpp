#include "ops/reconstruction_loss/reconstruction_loss_cpu.h"

#include "engine/ordered_sum.h"
#include "engine/row_kernels.h"

namespace sae::cpu {

template <class T>
double reconstruct(const ReconstructionTask<T>& task) {
  const int64_t width = task.width;
  constexpr int64_t rows_at_once = 16;
  return ordered_sum(task.entries.rows, rows_at_once, [&](int64_t first, int64_t last) {
    double squares = 0;
    for (int64_t row = first; row < last; ++row) {
      const int64_t begin = task.entries.begin(row), end = task.entries.end(row);
      const int32_t* index = task.entries.index;
      T* residual = task.residual + row * width;
      weighted_rows(task.values + begin, index + begin, end - begin, task.dictionary, width, residual,
                    task.entries.stored() - end);
      add_scaled(residual, T{1}, task.bias, width);
      add_scaled(residual, T{-1}, task.x + row * width, width);
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
