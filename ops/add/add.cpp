#include "ops/add/add.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"

namespace sae {

Tensor add(Variable a, const Variable& b) {
  const Tensor& left = require_constant("add", a);
  const Tensor& right = require_constant("add", b);
  const int64_t rows = left.rows(), cols = left.cols(), period = right.rows();
  CHECK(right.cols() == cols && right.dtype() == left.dtype() && (period > 0 ? rows % period == 0 : rows == 0),
        "add: {} to {}; both have the same columns and dtype, and the rows of the one repeat to those of the other",
        right.describe(), left.describe());
  if (left.device().kind() != DeviceKind::cpu) refuse_device("add", left.device().kind());
  const Dtype dtype = left.dtype();
  Writable y = std::get<Tensor>(std::move(a.value)).into_writable();
  visit_real("add", dtype, [&](auto zero) {
    using T = decltype(zero);
    T* to = y.data<T>();
    const T* from = right.data<T>();
    parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const T* term = from + r % period * cols;
        for (int64_t j = 0; j < cols; ++j) to[r * cols + j] += term[j];
      }
    });
  });
  return std::move(y).freeze();
}

}  // namespace sae
