#include "ops/first_columns/first_columns.h"

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/first_columns/first_columns_cuda.h"

namespace sae {
namespace {

template <class T>
void mask_on_cpu(const Value& x, const T* in, int64_t count, T* y) {
  if (const auto* dense = std::get_if<Tensor>(&x)) {
    const int64_t cols = dense->cols();
    parallel_for(dense->rows(), grain_for(cols), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        std::copy_n(in + row * cols, count, y + row * cols);
        std::fill(y + row * cols + count, y + (row + 1) * cols, T{0});
      }
    });
    return;
  }
  const int32_t* columns = entry_columns(x).index;
  parallel_for(stored_values(x).elements(), grain_for(1), [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) y[e] = columns[e] < count ? in[e] : T{0};
  });
}

Value masked(const Value& x, int64_t count) {
  const Tensor& from = stored_values(x);
  Device& device = from.device();
  Writable out = Tensor::empty(device, from.shape(), from.dtype());
  visit_real("first_columns", from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return mask_on_cpu(x, from.data<T>(), count, out.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), first_columns, device.stream(), entry_columns(x), count, from.data<T>(),
                         out.data<T>(), from.elements());
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
