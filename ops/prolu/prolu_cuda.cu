#include "ops/prolu/prolu_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL prolu_kernel(const T* m, const T* b, T* y, int64_t count, int64_t cols) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const bool closed = m[i] <= 0 || m[i] + b[i % cols] <= 0;
    y[i] = closed ? T{0} : m[i];
  }
}

template <class T>
SIMT_KERNEL prolu_backward_kernel(const T* y, const T* g, T slope, T constant, T* dm, T* db, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    const T passed = y[i] > 0 ? g[i] : T{0};
    dm[i] = passed * (1 + slope * y[i]);
    db[i] = passed * (constant + slope * y[i]);
  }
}

}  // namespace

template <class T>
void prolu(const Stream& stream, const T* m, const T* b, T* y, int64_t rows, int64_t cols) {
  launch(stream, prolu_kernel<T>, blocks_for(rows * cols), threads_per_block, 0, m, b, y, rows * cols, cols);
}

template <class T>
void prolu_backward(const Stream& stream, const T* y, const T* g, bool straight_through, T* dm, T* db, int64_t count) {
  const T slope = straight_through ? T{1} : T{0}, constant = straight_through ? T{0} : T{1};
  launch(stream, prolu_backward_kernel<T>, blocks_for(count), threads_per_block, 0, y, g, slope, constant, dm, db,
         count);
}

#define SIMT_PROLU(T)                                                              \
  template void prolu<T>(const Stream&, const T*, const T*, T*, int64_t, int64_t); \
  template void prolu_backward<T>(const Stream&, const T*, const T*, bool, T*, T*, int64_t);
SIMT_PROLU(float)
SIMT_PROLU(double)
#undef SIMT_PROLU

}  // namespace sae::SIMT_NAMESPACE
