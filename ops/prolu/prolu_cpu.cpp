#include "ops/prolu/prolu_cpu.h"

#include "engine/parallel.h"

namespace sae::cpu {

template <class T>
void prolu(const T* m, const T* b, T* y, int64_t rows, int64_t cols) {
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* in = m + row * cols;
      T* out = y + row * cols;
      for (int64_t col = 0; col < cols; ++col) {
        const bool closed = (in[col] <= 0) | (in[col] + b[col] <= 0);
        out[col] = closed ? T{0} : in[col];
      }
    }
  });
}

template <class T>
void prolu_backward(const T* y, const T* g, bool straight_through, T* dm, T* db, int64_t count) {
  // factor of dm: 1 + slope y; of db: y or 1
  const T slope = straight_through ? T{1} : T{0}, constant = straight_through ? T{0} : T{1};
  parallel_for(count, grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T passed = y[i] > 0 ? g[i] : T{0};
      dm[i] = passed * (1 + slope * y[i]);
      db[i] = passed * (constant + slope * y[i]);
    }
  });
}

template void prolu<float>(const float*, const float*, float*, int64_t, int64_t);
template void prolu<double>(const double*, const double*, double*, int64_t, int64_t);
template void prolu_backward<float>(const float*, const float*, bool, float*, float*, int64_t);
template void prolu_backward<double>(const double*, const double*, bool, double*, double*, int64_t);

}  // namespace sae::cpu
