#include "ops/adam/adam_cuda.h"

#include <limits>

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

/// One element of one term: its row's entries in the order of the batch, zeros left out.
template <class T>
SIMT_DEVICE T term_element(const GradientTermRows<T>& term, int64_t row, int64_t width, int64_t col) {
  if (term.dense != nullptr) return term.dense[row * width + col];
  T sum = 0;
  for (int64_t e = term.groups.offsets[row]; e < term.groups.offsets[row + 1]; ++e) {
    const T scale = term.values != nullptr ? term.values[term.groups.entries[e]] : T{1};
    if (scale != 0) sum += scale * term.batch[term.groups.rows[e] * width + col];
  }
  return sum;
}

/// One element of the gradient, term by term in the order in which they arrived.
template <class T>
SIMT_DEVICE T gradient_element(const AdamMatrix<T>& matrix, int64_t row, int64_t col) {
  T sum = term_element(matrix.terms[0], row, matrix.width, col);
  for (int t = 1; t < matrix.term_count; ++t) sum += term_element(matrix.terms[t], row, matrix.width, col);
  return sum;
}

/// Moments and weight at one place, given its gradient; returns the new weight, which is not yet written.
template <class T>
SIMT_DEVICE T step_element(const AdamMatrix<T>& matrix, int64_t i, T g) {
  const AdamFactors<T>& f = matrix.changing != nullptr ? *matrix.changing : matrix.factors;
  const T m = f.beta1 * matrix.first_moment[i] + f.one_minus_beta1 * g;
  const T v = f.beta2 * matrix.second_moment[i] + f.one_minus_beta2 * (g * g);
  matrix.first_moment[i] = m;
  matrix.second_moment[i] = v;
  return matrix.weights[i] - f.step_size * m / (std::sqrt(v) * f.root_correction + f.epsilon);
}

template <class T>
SIMT_DEVICE void write_weight(const AdamMatrix<T>& matrix, int64_t i, T weight) {
  matrix.weights[i] = weight;
  if (matrix.average != nullptr) matrix.average[i] = matrix.decay * matrix.average[i] + matrix.fraction * weight;
}

// Without a constraint no element looks at another: a thread for each.
template <class T>
SIMT_KERNEL step_elements_kernel(AdamMatrix<T> matrix, int* first_bad) {
  for (int64_t i = thread_in_grid(); i < matrix.rows * matrix.width; i += threads_in_grid()) {
    const int64_t row = i / matrix.width;
    const T weight = step_element(matrix, i, gradient_element(matrix, row, i % matrix.width));
    if (!std::isfinite(weight * weight)) atomicMin(first_bad, static_cast<int>(row));
    write_weight(matrix, i, weight);
  }
}

// A block for each row of length 1. Its gradient lies in shared memory between the projection, which needs all of it,
// and the step; each thread reads there only what it wrote.
template <class T>
SIMT_KERNEL step_unit_rows_kernel(AdamMatrix<T> matrix, int* first_bad) {
  SIMT_DYNAMIC_SHARED(T, gradient);  // [width], first the gradient, then the weights before they are normalised
  for (int64_t row = blockIdx.x; row < matrix.rows; row += gridDim.x) {
    const int64_t begin = row * matrix.width;
    T parallel = 0;
    for (int64_t col = threadIdx.x; col < matrix.width; col += blockDim.x) {
      gradient[col] = gradient_element(matrix, row, col);
      parallel += gradient[col] * matrix.weights[begin + col];
    }
    parallel = block_sum(parallel);
    __syncthreads();
    T squares = 0;
    for (int64_t col = threadIdx.x; col < matrix.width; col += blockDim.x) {
      const T g = gradient[col] - parallel * matrix.weights[begin + col];
      gradient[col] = step_element(matrix, begin + col, g);
      squares += gradient[col] * gradient[col];
    }
    squares = block_sum(squares);
    __syncthreads();
    if (threadIdx.x == 0 && !std::isfinite(squares)) atomicMin(first_bad, static_cast<int>(row));
    const T length = std::sqrt(squares), scale = length == 0 ? T{1} : T{1} / length;
    for (int64_t col = threadIdx.x; col < matrix.width; col += blockDim.x) {
      write_weight(matrix, begin + col, gradient[col] * scale);
    }
  }
}

}  // namespace

template <class T>
void launch_adam_rows(const Stream& stream, const AdamMatrix<T>& matrix, bool unit_norm, int* first_bad) {
  if (unit_norm) {
    launch(stream, step_unit_rows_kernel<T>, blocks_for_rows(matrix.rows), threads_per_block,
           static_cast<size_t>(matrix.width) * sizeof(T), matrix, first_bad);
  } else {
    launch(stream, step_elements_kernel<T>, blocks_for(matrix.rows * matrix.width), threads_per_block, 0, matrix,
           first_bad);
  }
}

template <class T>
int64_t adam_rows(Device& device, const AdamMatrix<T>& matrix, bool unit_norm) {
  constexpr int none = std::numeric_limits<int>::max();
  const auto first_bad = device.allocate(sizeof(int));
  device.copy_from_host(first_bad->data(), &none, sizeof none);
  launch_adam_rows(device.stream(), matrix, unit_norm, static_cast<int*>(first_bad->data()));
  int row = none;
  device.copy_to_host(&row, first_bad->data(), sizeof row);
  return row == none ? -1 : row;
}

template void launch_adam_rows<float>(const Stream&, const AdamMatrix<float>&, bool, int*);
template int64_t adam_rows<float>(Device&, const AdamMatrix<float>&, bool);
template int64_t adam_rows<double>(Device&, const AdamMatrix<double>&, bool);

}  // namespace sae::SIMT_NAMESPACE
