#include "ops/subtract_row/subtract_row_cpu.h"

#include "engine/parallel.h"

namespace sae::cpu {

template <class T>
void subtract_row(const T* x, const T* b, T* y, int64_t rows, int64_t cols) {
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* in = x + row * cols;
      T* out = y + row * cols;
      for (int64_t col = 0; col < cols; ++col) out[col] = in[col] - b[col];
    }
  });
}

template void subtract_row<float>(const float*, const float*, float*, int64_t, int64_t);
template void subtract_row<double>(const double*, const double*, double*, int64_t, int64_t);

}  // namespace sae::cpu
