#include "ops/add/add.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/add/add_cuda.h"

namespace sae {
namespace {

template <class T>
void add_on_cpu(T* y, const T* b, int64_t rows, int64_t cols, int64_t period) {
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* term = b + r % period * cols;
      for (int64_t j = 0; j < cols; ++j) y[r * cols + j] += term[j];
    }
  });
}

}  // namespace

Tensor add(Variable a, const Variable& b) {
  const Tensor& left = require_constant("add", a);
  const Tensor& right = require_constant("add", b);
  const int64_t rows = left.rows(), cols = left.cols(), period = right.rows();
  CHECK(right.cols() == cols && right.dtype() == left.dtype() && (period > 0 ? rows % period == 0 : rows == 0),
        "add: {} to {}; both have the same columns and dtype, and the rows of the one repeat to those of the other",
        right.describe(), left.describe());
  require_same_device("add", {&left, &right});
  const Dtype dtype = left.dtype();
  Device& device = left.device();
  Writable y = std::get<Tensor>(std::move(a.value)).into_writable();
  visit_real("add", dtype, [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return add_on_cpu(y.data<T>(), right.data<T>(), rows, cols, period);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), add, device.stream(), y.data<T>(), right.data<T>(), rows, cols, period);
    }
  });
  return std::move(y).freeze();
}

}  // namespace sae
