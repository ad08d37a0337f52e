#include "ops/matmul/sparse_cpu.h"

#include "engine/parallel.h"
#include "engine/row_kernels.h"

namespace sae::cpu {

template <class T>
void sparse_product(const SparseRows& sparse, const T* values, const T* dense, int64_t width, T* y) {
  parallel_for(sparse.rows, 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const int64_t begin = sparse.begin(row);
      const int64_t end = sparse.end(row);
      weighted_rows(values + begin, sparse.index + begin, end - begin, dense, width, y + row * width,
                    sparse.stored() - end);
    }
  });
}

template <class T>
void sampled_product(const SparseRows& pattern, const T* g, const T* w, int64_t width, T* out) {
  parallel_for(pattern.rows, 16, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      for (int64_t e = pattern.begin(row); e < pattern.end(row); ++e) {
        out[e] = dot(g + row * width, w + int64_t{pattern.index[e]} * width, width);
      }
    }
  });
}

template void sparse_product<float>(const SparseRows&, const float*, const float*, int64_t, float*);
template void sparse_product<double>(const SparseRows&, const double*, const double*, int64_t, double*);
template void sampled_product<float>(const SparseRows&, const float*, const float*, int64_t, float*);
template void sampled_product<double>(const SparseRows&, const double*, const double*, int64_t, double*);

}  // namespace sae::cpu
