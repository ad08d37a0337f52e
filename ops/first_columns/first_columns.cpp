#include "ops/first_columns/first_columns.h"

#include "engine/error.h"
#include "engine/parallel.h"

namespace sae {
namespace {

Value masked(const Value& x, int64_t count) {
  const Tensor& from = stored_values(x);
  if (from.device().kind() != DeviceKind::cpu) refuse_device("first_columns", from.device().kind());
  Writable out = Tensor::empty(from.device(), from.shape(), from.dtype());
  visit_real("first_columns", from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = from.data<T>();
    T* y = out.data<T>();
    if (std::holds_alternative<Tensor>(x)) {
      parallel_for(from.rows(), grain_for(from.cols()), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          std::copy_n(in + row * from.cols(), count, y + row * from.cols());
          std::fill(y + row * from.cols() + count, y + (row + 1) * from.cols(), T{0});
        }
      });
    } else {
      const int32_t* columns = sparse_rows("first_columns", x).index;
      parallel_for(from.elements(), grain_for(1), [&](int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; ++e) y[e] = columns[e] < count ? in[e] : T{0};
      });
    }
  });
  return with_stored_values(x, std::move(out).freeze());
}

struct FirstColumnsNode final : Node {
  Value pattern;
  int64_t count = 0;

  std::string_view name() const override { return "first_columns"; }

  void backward(const Value& gradient, Gradients& to) override {
    CHECK(std::holds_alternative<Tensor>(pattern) || same_pattern(pattern, gradient),
          "first_columns backward: {} has a gradient over the same stored places, got {}", describe(pattern),
          describe(gradient));
    to.add(0, masked(gradient, count));
  }
};

}  // namespace

Variable first_columns(const Variable& x, int64_t count) {
  CHECK(0 <= count && count <= cols_of(x.value), "first_columns: expected 0 to {} columns, got {}", cols_of(x.value),
        count);
  Value y = masked(x.value, count);
  if (x.tape == nullptr) return y;
  auto node = std::make_unique<FirstColumnsNode>();
  node->pattern = y;
  node->count = count;
  return x.tape->record(std::move(y), std::move(node), {&x});
}

}  // namespace sae
