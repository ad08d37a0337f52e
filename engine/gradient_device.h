#pragma once

#include <mutex>

#include "engine/gradient.h"
#include "engine/gradient_cuda.h"

namespace sae::on_device {

/// A pattern sorted by column in memory of its device: what ColumnGroups is on the cpu. `view` points into the tensors.
struct ColumnGroups {
  Tensor offsets, rows, entries;
  GroupedEntries view;
};
/// Sorted at the first call, and kept with the pattern.
std::shared_ptr<const ColumnGroups> group_by_column(const Value& sparse);

// The functions of engine/gradient.h where the values lie on simt or cuda; arguments were checked there.

Tensor add_dense(const Tensor& a, const Tensor& b);
/// Two matrices [rows, ka] and [rows, kb] (f32, f64 or i32) as one [rows, ka + kb].
Tensor side_by_side(const Tensor& a, const Tensor& b);
/// Each row's entries of a, then those of b.
CompressedRows rows_joined(const CompressedRows& a, const CompressedRows& b);
Tensor densify(const Value& value);
Tensor elements_at(const Tensor& dense, const Value& pattern);
Tensor materialize(const Gradient& gradient, Device& device, Shape shape, Dtype dtype);
Tensor column_sum(const Value& value);

}  // namespace sae::on_device

namespace sae {

/// What layout.h keeps with a pattern.
struct GroupsOnDemand {
  std::once_flag once;
  ColumnGroups groups;                // of a pattern on the cpu
  on_device::ColumnGroups elsewhere;  // of one on another device
};
/// The place where a sparse value's pattern keeps them.
const std::shared_ptr<GroupsOnDemand>& groups_kept_with(const Value& sparse);

}  // namespace sae
