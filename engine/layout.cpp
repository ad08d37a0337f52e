#include "engine/layout.h"

#include <fmt/format.h>

#include "engine/error.h"

namespace sae {

int64_t rows_of(const Value& value) {
  return std::visit(
      overloaded{[](const Tensor& t) { return t.rows(); }, [](const RowSparse& s) { return s.columns.rows(); },
                 [](const CompressedRows& s) { return s.rows(); }},
      value);
}

int64_t cols_of(const Value& value) {
  return std::visit(overloaded{[](const Tensor& t) { return t.cols(); }, [](const RowSparse& s) { return s.cols; },
                               [](const CompressedRows& s) { return s.cols; }},
                    value);
}

const Tensor& stored_values(const Value& value) {
  return std::visit(overloaded{[](const Tensor& t) -> const Tensor& { return t; },
                               [](const RowSparse& s) -> const Tensor& { return s.values; },
                               [](const CompressedRows& s) -> const Tensor& { return s.values; }},
                    value);
}

Value with_stored_values(const Value& pattern, Tensor values) {
  CHECK(values.shape() == stored_values(pattern).shape(), "layout: values {} for {}", values.describe(),
        describe(pattern));
  return std::visit(overloaded{[&](const Tensor&) -> Value { return std::move(values); },
                               [&](const RowSparse& s) -> Value {
                                 return RowSparse{s.columns, std::move(values), s.cols};
                               },
                               [&](const CompressedRows& s) -> Value {
                                 return CompressedRows{s.offsets, s.index, std::move(values), s.cols, s.groups};
                               }},
                    pattern);
}

Value to_device(const Value& value, Device& device) {
  return std::visit(
      overloaded{[&](const Tensor& t) -> Value { return t.to(device); },
                 [&](const RowSparse& s) -> Value {
                   if (&s.values.device() == &device) return s;
                   return RowSparse{Columns(s.columns.index().to(device)), s.values.to(device), s.cols};
                 },
                 [&](const CompressedRows& s) -> Value {
                   if (&s.values.device() == &device) return s;
                   return CompressedRows{s.offsets.to(device), s.index.to(device), s.values.to(device), s.cols};
                 }},
      value);
}

bool same_pattern(const Value& a, const Value& b) {
  if (a.index() != b.index() || rows_of(a) != rows_of(b) || cols_of(a) != cols_of(b)) return false;
  return std::visit(overloaded{[](const Tensor&) { return true; },
                               [&](const RowSparse& s) { return s.columns == std::get<RowSparse>(b).columns; },
                               [&](const CompressedRows& s) {
                                 const auto& other = std::get<CompressedRows>(b);
                                 return s.offsets.same_memory(other.offsets) && s.index.same_memory(other.index);
                               }},
                    a);
}

SparseRows sparse_rows(std::string_view op, const Value& value) {
  return std::visit(overloaded{[&](const Tensor& t) -> SparseRows {
                                 fail("{}: expected a sparse layout, got dense {}", op, t.describe());
                               },
                               [](const RowSparse& s) -> SparseRows {
                                 return {nullptr, s.columns.index().data<int32_t>(), s.columns.rows(), s.columns.k()};
                               },
                               [](const CompressedRows& s) -> SparseRows {
                                 return {s.offsets.data<int64_t>(), s.index.data<int32_t>(), s.rows(), 0};
                               }},
                    value);
}

EntryColumns entry_columns(const Value& value) {
  if (const auto* dense = std::get_if<Tensor>(&value)) return {nullptr, dense->cols()};
  return {sparse_rows("entry_columns", value).index, cols_of(value)};
}

Dtype dtype_of(const Value& value) { return stored_values(value).dtype(); }

Device& device_of(const Value& value) { return stored_values(value).device(); }

int64_t bytes_of(const Value& value) {
  const int64_t pattern = std::visit(
      overloaded{[](const Tensor&) { return int64_t{0}; }, [](const RowSparse& s) { return s.columns.index().bytes(); },
                 [](const CompressedRows& s) { return s.offsets.bytes() + s.index.bytes(); }},
      value);
  return pattern + stored_values(value).bytes();
}

std::string_view layout_of(const Value& value) {
  return std::visit(overloaded{[](const Tensor&) { return std::string_view("dense"); },
                               [](const RowSparse&) { return std::string_view("row-sparse"); },
                               [](const CompressedRows&) { return std::string_view("compressed rows"); }},
                    value);
}

std::string describe(const Value& value) {
  const std::string head =
      fmt::format("{} {} [{}, {}]", layout_of(value), name_of(dtype_of(value)), rows_of(value), cols_of(value));
  return std::visit(overloaded{[&](const Tensor& t) { return "dense " + t.describe(); },
                               [&](const RowSparse& s) { return fmt::format("{} k {}", head, s.columns.k()); },
                               [&](const CompressedRows& s) { return fmt::format("{} stored {}", head, s.stored()); }},
                    value);
}

const Tensor& require_dense(std::string_view op, const Value& value) {
  const auto* tensor = std::get_if<Tensor>(&value);
  CHECK(tensor != nullptr, "{}: expected a dense tensor, got {}", op, describe(value));
  return *tensor;
}

}  // namespace sae
