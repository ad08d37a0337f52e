#pragma once

#include "engine/tape.h"

namespace sae {

/// How a dense product of f32 matrices is computed. bf16 rounds both factors to bfloat16 and accumulates in f32: on a
/// processor with bfloat16 products it is twice as fast; on one without, the f32 product is used.
enum class Precision { f32, bf16 };

struct MatmulOptions {
  bool transpose_b = false;
  Precision precision = Precision::f32;
};

/// y = a b, or a b^T with transpose_b.
///   a [rows, inner] dense, row-sparse or compressed; b dense [inner, cols], or [cols, inner] with transpose_b.
///   y is dense [rows, cols].
/// Backward, with g the gradient of y:
///   a dense, g dense:    da = g b^T,  db = a^T g            (transpose_b: da = g b, db = g^T a)
///   a dense, g sparse:   da = g b,    db = g^T a, deferred  (transpose_b only)
///   a sparse, g dense:   da = g b^T at the stored places of a only; db = a^T g, deferred  (not transposed only)
/// Where only the column sum of da is used, it is column_sum(g) b: the pre-bias costs a matrix-vector product
/// (Gao et al., appendix D). Sums over stored entries run in the order in which they are stored.
/// Throws on shapes that do not fit, on unequal dtypes, and on a layout that has no product here.
Variable matmul(const Variable& a, const Variable& b, MatmulOptions options = {});

/// A dense product without a tape: op(a) op(b), where op transposes if asked. f32 or f64; or factors that are bf16
/// already, which are read as they are, into f32.
Tensor dense_product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                     Precision precision = Precision::f32);

/// sparse [rows, n] times dense [n, width].
Tensor sparse_product(const Value& sparse, const Tensor& dense);

/// The entries of g w^T at the stored places of `pattern` only: g [rows, width], w [n, width]. Same layout and same
/// pattern as `pattern`, whose values are ignored.
Value sampled_product(const Value& pattern, const Tensor& g, const Tensor& w);

}  // namespace sae
