#pragma once

#include "engine/gradient.h"

namespace sae::on_device {

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
