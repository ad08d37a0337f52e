#include "ops/matmul/dense_cpu.h"

#include <algorithm>
#include <vector>

#include "engine/parallel.h"
#include "engine/row_kernels.h"

namespace sae::cpu {

template <class T>
void reference_product(const T* a, const T* b, T* y, const ProductSizes& sizes) {
  const auto [rows, inner, cols, transpose_a, transpose_b] = sizes;
  const T* factor = b;
  std::vector<T> copy;
  if (transpose_b) {  // so that the innermost loop below always runs along memory
    copy.resize(static_cast<size_t>(inner * cols));
    for (int64_t col = 0; col < cols; ++col) {
      for (int64_t i = 0; i < inner; ++i) copy[static_cast<size_t>(i * cols + col)] = b[col * inner + i];
    }
    factor = copy.data();
  }
  const int64_t a_row = transpose_a ? 1 : inner, a_inner = transpose_a ? rows : 1;
  parallel_for(rows, grain_for(inner * cols), [&, inner = inner, cols = cols](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* out = y + row * cols;
      std::fill_n(out, cols, T{0});
      for (int64_t i = 0; i < inner; ++i) {
        const T scale = a[row * a_row + i * a_inner];
        for (int64_t col = 0; col < cols; ++col) out[col] += scale * factor[i * cols + col];
      }
    }
  });
}

void row_product(const float* a, const float* b, int64_t inner, int64_t cols, float* y) {
  constexpr int64_t block = 256;
  std::vector<float> parts(static_cast<size_t>((inner + block - 1) / block * cols), 0.0f);
  parallel_for(inner, block, [&](int64_t begin, int64_t end) {
    float* part = parts.data() + begin / block * cols;
    for (int64_t i = begin; i < end; ++i) {
      if (a[i] != 0) add_scaled(part, a[i], b + i * cols, cols);
    }
  });
  std::copy_n(parts.data(), cols, y);
  for (size_t part = static_cast<size_t>(cols); part < parts.size(); part += static_cast<size_t>(cols)) {
    add_scaled(y, 1.0f, parts.data() + part, cols);
  }
}

template void reference_product<float>(const float*, const float*, float*, const ProductSizes&);
template void reference_product<double>(const double*, const double*, double*, const ProductSizes&);

}  // namespace sae::cpu
