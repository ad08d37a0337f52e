#include "ops/topk/topk.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "engine/parallel.h"
#include "ops/topk/topk_cpu.h"
#include "ops/topk/topk_cuda.h"

namespace sae {
namespace {

[[noreturn]] void refuse_row(int64_t row) {
  throw NotFinite(
      fmt::format("topk: row {} holds a NaN or an infinity; lower the learning rate or look at the data", row));
}

template <class T>
RowSparse choose_rows_on_cpu(const Tensor& x, int64_t k) {
  Writable columns = Tensor::empty(x.device(), {x.rows(), k}, Dtype::i32);
  Writable values = Tensor::empty(x.device(), {x.rows(), k}, x.dtype());
  const int64_t cols = x.cols();
  const T* from = x.data<T>();
  int32_t* chosen = columns.data<int32_t>();
  T* kept = values.data<T>();
  parallel_for(x.rows(), 16, [&](int64_t begin, int64_t end) {
    std::vector<cpu::Candidate<T>> candidates;
    for (int64_t row = begin; row < end; ++row) {
      bool finite = false;
      if constexpr (std::is_same_v<T, float>) {
        if (cols < 128 * k) {
          finite = cpu::choose_by_counting(from + row * cols, cols, k, chosen + row * k, kept + row * k);
          if (finite) continue;
        }
        finite = cpu::filter_candidates(from + row * cols, cols, k, candidates);
      } else {
        finite = cpu::gather_candidates(from + row * cols, cols, candidates);
      }
      if (!finite) refuse_row(row);
      cpu::choose(candidates, k, chosen + row * k, kept + row * k);
    }
  });
  return {Columns(std::move(columns).freeze()), std::move(values).freeze(), cols};
}

template <class T>
RowSparse choose_rows_on_device(const Tensor& x, int64_t k) {
  Device& device = x.device();
  Writable columns = Tensor::empty(device, {x.rows(), k}, Dtype::i32);
  Writable values = Tensor::empty(device, {x.rows(), k}, x.dtype());
  const int64_t bad_row = SIMT_CALL(device.kind(), choose_best, device, x.data<T>(), x.rows(), x.cols(), k,
                                    columns.data<int32_t>(), values.data<T>());
  if (bad_row >= 0) refuse_row(bad_row);
  return {Columns(std::move(columns).freeze()), std::move(values).freeze(), x.cols()};
}

RowSparse choose_rows(const Tensor& x, int64_t k) {
  return visit_real("topk", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (x.device().kind()) {
      case DeviceKind::cpu:
        return choose_rows_on_cpu<T>(x, k);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return choose_rows_on_device<T>(x, k);
    }
    refuse_device("topk", x.device().kind());
  });
}

struct TopkNode final : Node {
  Columns columns;
  int64_t elements = 0;

  explicit TopkNode(Columns chosen) : columns(std::move(chosen)) {}
  std::string_view name() const override { return "topk"; }
  int64_t bytes_saved() const override { return columns.index().bytes(); }
  double flops() const override { return static_cast<double>(elements); }  // one comparison each

  void backward(const Value& gradient, Gradients& to) override {
    const auto* sparse = std::get_if<RowSparse>(&gradient);
    CHECK(sparse != nullptr && sparse->columns == columns,
          "topk backward: the gradient of a row-sparse value must have its columns, got {}", describe(gradient));
    to.add(0, gradient);
  }
};

}  // namespace

Variable topk(const Variable& input, int64_t k) {
  const Tensor& x = require_dense("topk", input.value);
  CHECK(1 <= k && k <= x.cols(), "topk: expected 1 <= k <= {} columns to choose from, got k = {}", x.cols(), k);
  RowSparse y = choose_rows(x, k);
  if (input.tape == nullptr) return Value(y);
  auto node = std::make_unique<TopkNode>(y.columns);
  node->elements = x.elements();
  return input.tape->record(std::move(y), std::move(node), {&input});
}

namespace {

template <class T>
void copy_chosen_on_cpu(const int32_t* index, int64_t rows, int64_t k, const T* from, int64_t cols, T* to) {
  parallel_for(rows, grain_for(cols), [&](int64_t begin, int64_t end) {
    std::fill(to + begin * cols, to + end * cols, T{0});
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t j = row * k; j < (row + 1) * k; ++j) to[row * cols + index[j]] = from[row * cols + index[j]];
    }
  });
}

/// The stored entries of the pattern, taken from `values` [rows, cols], among zeros.
Tensor only_at(const Columns& columns, const Tensor& values) {
  require_same_device("keep_topk", {&columns.index(), &values});
  Device& device = values.device();
  Writable out = Tensor::empty(device, values.shape(), values.dtype());
  const int32_t* index = columns.index().data<int32_t>();
  visit_real("keep_topk", values.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = values.data<T>();
    switch (device.kind()) {
      case DeviceKind::cpu:
        return copy_chosen_on_cpu(index, values.rows(), columns.k(), from, values.cols(), out.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        device.clear(out.raw(), static_cast<size_t>(out.bytes()));
        return SIMT_CALL(device.kind(), copy_chosen, device.stream(), index, values.rows(), columns.k(), from,
                         values.cols(), out.data<T>());
    }
  });
  return std::move(out).freeze();
}

struct KeepTopkNode final : Node {
  Columns columns;

  explicit KeepTopkNode(Columns chosen) : columns(std::move(chosen)) {}
  std::string_view name() const override { return "keep_topk"; }
  int64_t bytes_saved() const override { return columns.index().bytes(); }

  void backward(const Value& gradient, Gradients& to) override {
    to.add(0, Value(only_at(columns, require_dense("keep_topk backward", gradient))));
  }
};

}  // namespace

Variable keep_topk(const Variable& x, int64_t k) {
  const Columns columns = std::get<RowSparse>(topk(Variable(x.value), k).value).columns;
  Tensor y = only_at(columns, require_dense("keep_topk", x.value));
  if (x.tape == nullptr) return y;
  return x.tape->record(std::move(y), std::make_unique<KeepTopkNode>(columns), {&x});
}

}  // namespace sae
