#include "engine/convert_cuda.h"

#include "engine/convert.h"
#include "engine/simt.h"

namespace sae::SIMT_NAMESPACE {
namespace {

template <class From, class To>
SIMT_KERNEL convert_kernel(const From* from, To* to, int64_t count) {
  for (int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) to[i] = convert<From, To>(from[i]);
}

}  // namespace

template <class From, class To>
void convert_elements(const Stream& stream, const From* from, To* to, int64_t count) {
  launch(stream, convert_kernel<From, To>, blocks_for(count), threads_per_block, 0, from, to, count);
}

#define SIMT_CONVERT(From, To) template void convert_elements<From, To>(const Stream&, const From*, To*, int64_t);
SIMT_CONVERT(float, float)
SIMT_CONVERT(float, double)
SIMT_CONVERT(float, bfloat16)
SIMT_CONVERT(double, float)
SIMT_CONVERT(double, double)
SIMT_CONVERT(double, bfloat16)
SIMT_CONVERT(bfloat16, float)
SIMT_CONVERT(bfloat16, double)
SIMT_CONVERT(bfloat16, bfloat16)
#undef SIMT_CONVERT

}  // namespace sae::SIMT_NAMESPACE
