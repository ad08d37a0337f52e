#include "ops/gather_rows/gather_rows_cuda.h"

#include <limits>

#include "engine/dtype.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

// A thread for each element of the result. Nothing is read at an index outside the table.
template <class Element, class Index>
SIMT_KERNEL gather_kernel(const Element* from, int64_t rows, int64_t width, const Index* index, int64_t count,
                          Element* to, int* first_bad) {
  for (int64_t i = thread_in_grid(); i < count * width; i += threads_in_grid()) {
    const int64_t place = i / width, at = static_cast<int64_t>(index[place]);
    if (at < 0 || at >= rows) {
      atomicMin(first_bad, static_cast<int>(place));
    } else {
      to[i] = from[at * width + i % width];
    }
  }
}

}  // namespace

template <class Element, class Index>
int64_t gather_rows(Device& device, const Element* from, int64_t rows, int64_t width, const Index* index, int64_t count,
                    Element* to) {
  constexpr int none = std::numeric_limits<int>::max();
  const auto first_bad = device.allocate(sizeof(int));
  device.copy_from_host(first_bad->data(), &none, sizeof none);
  launch(device.stream(), gather_kernel<Element, Index>, blocks_for(count * width), threads_per_block, 0, from, rows,
         width, index, count, to, static_cast<int*>(first_bad->data()));
  int place = none;
  device.copy_to_host(&place, first_bad->data(), sizeof place);
  return place == none ? -1 : place;
}

#define SIMT_GATHER(Element, Index)                                                                              \
  template int64_t gather_rows<Element, Index>(Device&, const Element*, int64_t, int64_t, const Index*, int64_t, \
                                               Element*);
SIMT_GATHER(float, int32_t)
SIMT_GATHER(float, uint16_t)
SIMT_GATHER(double, int32_t)
SIMT_GATHER(double, uint16_t)
SIMT_GATHER(bfloat16, int32_t)
SIMT_GATHER(bfloat16, uint16_t)
#undef SIMT_GATHER

}  // namespace sae::SIMT_NAMESPACE
