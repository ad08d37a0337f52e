#include "engine/gradient_device.h"

#include <bit>
#include <limits>

#include "engine/error.h"
#include "engine/sort_cuda.h"

namespace sae::on_device {
namespace {

ColumnGroups sort_by_column(const Value& sparse) {
  const SparseRows pattern = sparse_rows("group_by_column", sparse);
  // Not the elements of the values, which for listed rows (one_entry_each) are whole rows.
  const int64_t stored = pattern.offsets != nullptr ? stored_values(sparse).elements() : pattern.rows * pattern.k;
  const int64_t cols = cols_of(sparse);
  CHECK(stored <= std::numeric_limits<int32_t>::max(),
        "group_by_column: {} has more entries than i32 counts; use a "
        "smaller batch",
        describe(sparse));
  Device& device = device_of(sparse);
  Writable row = Tensor::empty(device, {stored}, Dtype::i32), entry = Tensor::empty(device, {stored}, Dtype::i32);
  Writable column = Tensor::empty(device, {stored}, Dtype::i32), entries = Tensor::empty(device, {stored}, Dtype::i32);
  Writable rows = Tensor::empty(device, {stored}, Dtype::i32);
  Writable offsets = Tensor::empty(device, {cols + 1}, Dtype::i64);
  SIMT_CALL(device.kind(), list_entries, device.stream(), pattern, row.data<int32_t>(), entry.data<int32_t>());
  SIMT_CALL(device.kind(), stable_sort_pairs, device, pattern.index, column.data<int32_t>(), entry.data<int32_t>(),
            entries.data<int32_t>(), stored, static_cast<int>(std::bit_width(static_cast<uint64_t>(cols))));
  SIMT_CALL(device.kind(), group_sorted, device.stream(), column.data<int32_t>(), entries.data<int32_t>(),
            row.data<int32_t>(), stored, cols, offsets.data<int64_t>(), rows.data<int32_t>());
  ColumnGroups groups{std::move(offsets).freeze(), std::move(rows).freeze(), std::move(entries).freeze(), {}};
  groups.view = {groups.offsets.data<int64_t>(), groups.rows.data<int32_t>(), groups.entries.data<int32_t>(), cols};
  return groups;
}

/// sum [cols, width] += sparse^T dense; without values (null) the stored entries are ones.
template <class T>
void add_product(const Value& sparse, const T* values, const Tensor& dense, int64_t width, T* sum) {
  Device& device = dense.device();
  SIMT_CALL(device.kind(), add_transposed_product, device.stream(), on_device::group_by_column(sparse)->view, values,
            dense.data<T>(), width, sum);
}

template <class T>
void add_term(const GradientTerm& term, T* sum, Device& device, const Shape& shape) {
  const Stream& stream = device.stream();
  std::visit(overloaded{[&](const Tensor& t) {
                          CHECK(t.elements() == shape.elements(), "gradient: a term of shape {} for a parameter {}",
                                t.shape().to_string(), shape.to_string());
                          SIMT_CALL(device.kind(), add_elements, stream, sum, t.data<T>(), sum, t.elements());
                        },
                        [&](const DeferredProduct& p) {
                          CHECK(cols_of(p.sparse) == shape.rows() && p.dense.cols() == shape.cols(),
                                "gradient: a deferred product of {} and {} for a parameter {}", describe(p.sparse),
                                p.dense.describe(), shape.to_string());
                          add_product(p.sparse, stored_values(p.sparse).data<T>(), p.dense, p.dense.cols(), sum);
                        },
                        [&](const RowsGradient& r) {
                          const int64_t width = shape.rank() == 1 ? 1 : shape.cols();
                          CHECK(r.total_rows * width == shape.elements() && r.values.cols() == width,
                                "gradient: rows of {} x {} for a parameter {}", r.total_rows, r.values.cols(),
                                shape.to_string());
                          add_product(one_entry_each(r), static_cast<const T*>(nullptr), r.values, width, sum);
                        }},
             term);
}

}  // namespace

std::shared_ptr<const ColumnGroups> group_by_column(const Value& sparse) {
  const std::shared_ptr<GroupsOnDemand>& kept = groups_kept_with(sparse);
  std::call_once(kept->once, [&] { kept->elsewhere = sort_by_column(sparse); });
  return {kept, &kept->elsewhere};
}

Tensor add_dense(const Tensor& a, const Tensor& b) {
  Device& device = a.device();
  Writable out = Tensor::empty(device, a.shape(), a.dtype());
  visit_real("gradient add", a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    SIMT_CALL(device.kind(), add_elements, device.stream(), a.data<T>(), b.data<T>(), out.data<T>(), a.elements());
  });
  return std::move(out).freeze();
}

Tensor side_by_side(const Tensor& a, const Tensor& b) {
  Device& device = a.device();
  Writable out = Tensor::empty(device, {a.rows(), a.cols() + b.cols()}, a.dtype());
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    SIMT_CALL(device.kind(), side_by_side, device.stream(), a.data<T>(), a.cols(), b.data<T>(), b.cols(), out.data<T>(),
              a.rows());
  };
  if (a.dtype() == Dtype::i32) {
    run(int32_t{});
  } else {
    visit_real("gradient add", a.dtype(), run);
  }
  return std::move(out).freeze();
}

CompressedRows rows_joined(const CompressedRows& a, const CompressedRows& b) {
  Device& device = a.values.device();
  const int64_t stored = a.stored() + b.stored();
  Writable offsets = Tensor::empty(device, a.offsets.shape(), Dtype::i64);
  Writable index = Tensor::empty(device, {stored}, Dtype::i32);
  Writable values = Tensor::empty(device, {stored}, a.values.dtype());
  const SparseRows left = sparse_rows("gradient add", a), right = sparse_rows("gradient add", b);
  // A row begins after all that came before it on both sides.
  SIMT_CALL(device.kind(), add_elements, device.stream(), left.offsets, right.offsets, offsets.data<int64_t>(),
            left.rows + 1);
  SIMT_CALL(device.kind(), join_rows, device.stream(), left, left.index, right, right.index, index.data<int32_t>());
  visit_real("gradient add", a.values.dtype(), [&](auto zero) {
    using T = decltype(zero);
    SIMT_CALL(device.kind(), join_rows, device.stream(), left, a.values.data<T>(), right, b.values.data<T>(),
              values.data<T>());
  });
  return {std::move(offsets).freeze(), std::move(index).freeze(), std::move(values).freeze(), a.cols};
}

Tensor densify(const Value& value) {
  const Tensor& stored = stored_values(value);
  Device& device = stored.device();
  Writable out = Tensor::empty(device, {rows_of(value), cols_of(value)}, stored.dtype());
  device.clear(out.raw(), static_cast<size_t>(out.bytes()));
  visit_real("densify", stored.dtype(), [&](auto zero) {
    using T = decltype(zero);
    SIMT_CALL(device.kind(), add_entries, device.stream(), sparse_rows("densify", value), stored.data<T>(),
              cols_of(value), out.data<T>());
  });
  return std::move(out).freeze();
}

Tensor elements_at(const Tensor& dense, const Value& pattern) {
  Device& device = dense.device();
  Writable out = Tensor::empty(device, stored_values(pattern).shape(), dense.dtype());
  visit_real("elements_at", dense.dtype(), [&](auto zero) {
    using T = decltype(zero);
    SIMT_CALL(device.kind(), elements_at, device.stream(), sparse_rows("elements_at", pattern), dense.data<T>(),
              dense.cols(), out.data<T>());
  });
  return std::move(out).freeze();
}

Tensor materialize(const Gradient& gradient, Device& device, Shape shape, Dtype dtype) {
  Writable out = Tensor::empty(device, shape, dtype);
  device.clear(out.raw(), static_cast<size_t>(out.bytes()));
  visit_real("materialize", dtype, [&](auto zero) {
    using T = decltype(zero);
    for (const GradientTerm& term : gradient.terms()) add_term<T>(term, out.data<T>(), device, shape);
  });
  return std::move(out).freeze();
}

Tensor column_sum(const Value& value) {
  const Tensor& stored = stored_values(value);
  Device& device = stored.device();
  const int64_t cols = cols_of(value);
  Writable out = Tensor::empty(device, {1, cols}, stored.dtype());
  visit_real("column_sum", stored.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (std::holds_alternative<Tensor>(value)) {
      const int64_t chunks = (stored.rows() + column_sum_rows - 1) / column_sum_rows;
      Writable partial = Tensor::empty(device, {chunks, cols}, Dtype::f64);
      SIMT_CALL(device.kind(), column_sums, device.stream(), stored.data<T>(), stored.rows(), cols,
                partial.data<double>(), out.data<T>());
    } else {
      SIMT_CALL(device.kind(), column_sums, device.stream(), on_device::group_by_column(value)->view, stored.data<T>(),
                out.data<T>());
    }
  });
  return std::move(out).freeze();
}

}  // namespace sae::on_device
