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

namespace {

const Tensor& elements_of(const Value& value) {
  return std::visit(overloaded{[](const Tensor& t) -> const Tensor& { return t; },
                               [](const RowSparse& s) -> const Tensor& { return s.values; },
                               [](const CompressedRows& s) -> const Tensor& { return s.values; }},
                    value);
}

}  // namespace

Dtype dtype_of(const Value& value) { return elements_of(value).dtype(); }

Device& device_of(const Value& value) { return elements_of(value).device(); }

int64_t bytes_of(const Value& value) {
  const int64_t pattern = std::visit(
      overloaded{[](const Tensor&) { return int64_t{0}; }, [](const RowSparse& s) { return s.columns.index().bytes(); },
                 [](const CompressedRows& s) { return s.offsets.bytes() + s.index.bytes(); }},
      value);
  return pattern + elements_of(value).bytes();
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
