#include <cstdint>

namespace sae::SIMD_NAMESPACE {

namespace {

typedef float floats __attribute__((vector_size(32)));
typedef double doubles __attribute__((vector_size(64)));
constexpr int64_t lanes = 8;
constexpr int64_t most_vectors = 8;  // of 64 columns

doubles load(const float* from) {
  floats value;
  __builtin_memcpy(&value, from, sizeof(value));
  return __builtin_convertvector(value, doubles);
}

/// The first `count` < 8 elements, then zeros.
doubles load_some(const float* from, int64_t count) {
  floats value = {};
  __builtin_memcpy(&value, from, static_cast<uint64_t>(count) * sizeof(float));
  return __builtin_convertvector(value, doubles);
}

}  // namespace

void column_block_sums(const float* x, int64_t rows, int64_t stride, int64_t cols, double* sums) {
  doubles total[most_vectors] = {};
  const int64_t vectors = cols / lanes, rest = cols % lanes;
  if (vectors == most_vectors) {  // a constant number of registers
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t v = 0; v < most_vectors; ++v) total[v] += load(x + row * stride + v * lanes);
    }
  } else {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t v = 0; v < vectors; ++v) total[v] += load(x + row * stride + v * lanes);
      if (rest > 0) total[vectors] += load_some(x + row * stride + vectors * lanes, rest);
    }
  }
  __builtin_memcpy(sums, total, static_cast<uint64_t>(cols) * sizeof(double));
}

double column_block_squares(const float* x, int64_t rows, int64_t stride, int64_t cols, const double* centre) {
  doubles means[most_vectors] = {};
  __builtin_memcpy(means, centre, static_cast<uint64_t>(cols) * sizeof(double));
  const int64_t vectors = cols / lanes, rest = cols % lanes;
  double sum = 0;
  for (int64_t row = 0; row < rows; ++row) {
    doubles squares = {};
    for (int64_t v = 0; v < vectors; ++v) {
      const doubles away = load(x + row * stride + v * lanes) - means[v];
      squares += away * away;
    }
    if (rest > 0) {  // the means behind the last column are 0
      const doubles away = load_some(x + row * stride + vectors * lanes, rest) - means[vectors];
      squares += away * away;
    }
    sum += ((squares[0] + squares[4]) + (squares[2] + squares[6])) +
           ((squares[1] + squares[5]) + (squares[3] + squares[7]));
  }
  return sum;
}

}  // namespace sae::SIMD_NAMESPACE
