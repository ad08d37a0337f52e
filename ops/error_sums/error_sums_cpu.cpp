#include "ops/error_sums/error_sums_cpu.h"

#include "engine/parallel.h"

namespace sae::cpu {
namespace {

template <class T>
void errors_of_row(const ErrorTask<T>& task, int64_t row) {
  const T *x = task.x + row * task.width, *y = task.y + row * task.width;
  double error_squares = 0, energy = 0, squares = 0, latents = 0;
  for (int64_t i = 0; i < task.width; ++i) {
    const double value = x[i], error = value - static_cast<double>(y[i]), centred = value - task.mean[i];
    error_squares += error * error;
    energy += centred * centred;
    squares += value * value;
  }
  for (int64_t e = task.entries.begin(row); e < task.entries.end(row); ++e) latents += task.latents[e];
  double* to = task.of_rows + 4 * row;
  to[0] = error_squares, to[1] = energy, to[2] = squares, to[3] = latents;
}

}  // namespace

template <class T>
void add_errors(const ErrorTask<T>& task) {
  parallel_for(task.rows, grain_for(task.width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) errors_of_row(task, row);
  });
  parallel_for(task.width, 64, [&](int64_t begin, int64_t end) {
    for (int64_t row = 0; row < task.rows; ++row) {
      for (int64_t i = begin; i < end; ++i) {
        const double value = task.x[row * task.width + i];
        task.sums[i] += value;
        task.sums[task.width + i] += value - static_cast<double>(task.y[row * task.width + i]);
      }
    }
  });
}

template void add_errors<float>(const ErrorTask<float>&);
template void add_errors<double>(const ErrorTask<double>&);

}  // namespace sae::cpu
