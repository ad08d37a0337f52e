#include "ops/unit_norm/unit_norm_cpu.h"

#include <algorithm>
#include <vector>

#include "engine/parallel.h"
#include "ops/unit_norm/row_projection.h"

namespace sae::cpu {

template <class T>
int64_t first_row_without_length(const T* matrix, int64_t rows, int64_t width) {
  std::vector<char> bad(static_cast<size_t>(rows), 0);
  parallel_for(rows, grain_for(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* values = matrix + row * width;
      bad[static_cast<size_t>(row)] = !std::isfinite(dot(values, values, width));
    }
  });
  const auto first = std::find(bad.begin(), bad.end(), 1);
  return first == bad.end() ? -1 : first - bad.begin();
}

template <class T>
void normalise_rows(T* matrix, int64_t rows, int64_t width) {
  parallel_for(rows, grain_for(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) normalise_row(matrix + row * width, width);
  });
}

template <class T>
void remove_parallel_rows(const T* gradient, const T* matrix, int64_t rows, int64_t width, T* out) {
  parallel_for(rows, grain_for(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::copy_n(gradient + row * width, width, out + row * width);
      remove_parallel(out + row * width, matrix + row * width, width);
    }
  });
}

template int64_t first_row_without_length<float>(const float*, int64_t, int64_t);
template int64_t first_row_without_length<double>(const double*, int64_t, int64_t);
template void normalise_rows<float>(float*, int64_t, int64_t);
template void normalise_rows<double>(double*, int64_t, int64_t);
template void remove_parallel_rows<float>(const float*, const float*, int64_t, int64_t, float*);
template void remove_parallel_rows<double>(const double*, const double*, int64_t, int64_t, double*);

}  // namespace sae::cpu
