#include "ops/first_columns/first_columns_cuda.h"

#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class T>
SIMT_KERNEL first_columns_kernel(EntryColumns columns, int64_t count, const T* x, T* y, int64_t entries) {
  for (int64_t e = thread_in_grid(); e < entries; e += threads_in_grid()) y[e] = columns.of(e) < count ? x[e] : T{0};
}

}  // namespace

template <class T>
void first_columns(const Stream& stream, EntryColumns columns, int64_t count, const T* x, T* y, int64_t entries) {
  launch(stream, first_columns_kernel<T>, blocks_for(entries), threads_per_block, 0, columns, count, x, y, entries);
}

template void first_columns<float>(const Stream&, EntryColumns, int64_t, const float*, float*, int64_t);
template void first_columns<double>(const Stream&, EntryColumns, int64_t, const double*, double*, int64_t);

}  // namespace sae::SIMT_NAMESPACE
