#include "ops/gated_relu/gated_relu_cpu.h"

#include "engine/parallel.h"

namespace sae::cpu {

template <class T>
void gated_relu(const T* u, const T* gate, const T* scale, const T* bias, T* z, int64_t rows, int64_t cols) {
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* in = u + row * cols;
      T* out = z + row * cols;
      for (int64_t col = 0; col < cols; ++col) {
        const T magnitude = scale[col] * in[col] + bias[col];
        const bool closed = (in[col] + gate[col] <= 0) | (magnitude <= 0);
        out[col] = closed ? T{0} : magnitude;
      }
    }
  });
}

template <class T>
void gated_relu_backward(const T* z, const T* u, const T* g, T* passed, T* times_u, int64_t count) {
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T open = z[i] > 0 ? g[i] : T{0};
      passed[i] = open;
      times_u[i] = open * u[i];
    }
  });
}

template <class T>
void scale_columns(const T* values, const int32_t* columns, const T* scale, int64_t cols, T* out, int64_t count) {
  if (columns != nullptr) {
    parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = values[i] * scale[columns[i]];
    });
    return;
  }
  if (cols == 0) return;
  parallel_for(count / cols, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t col = 0; col < cols; ++col) out[row * cols + col] = values[row * cols + col] * scale[col];
    }
  });
}

template void gated_relu<float>(const float*, const float*, const float*, const float*, float*, int64_t, int64_t);
template void gated_relu<double>(const double*, const double*, const double*, const double*, double*, int64_t, int64_t);
template void gated_relu_backward<float>(const float*, const float*, const float*, float*, float*, int64_t);
template void gated_relu_backward<double>(const double*, const double*, const double*, double*, double*, int64_t);
template void scale_columns<float>(const float*, const int32_t*, const float*, int64_t, float*, int64_t);
template void scale_columns<double>(const double*, const int32_t*, const double*, int64_t, double*, int64_t);

}  // namespace sae::cpu
