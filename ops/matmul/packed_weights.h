#pragma once

#include <cstdint>
#include <memory>

#include "engine/tensor.h"
#include "ops/matmul/matmul.h"

namespace sae {

/// What a PackedMatrix keeps: weights w [outputs, inputs] as the products of a device read them. Empty at first.
class PackedWeights {
 public:
  PackedWeights() = default;
  virtual ~PackedWeights() = default;
  PackedWeights(const PackedWeights&) = delete;
  PackedWeights& operator=(const PackedWeights&) = delete;

  /// Where rows that are not the last may end: a multiple of what libraries take for the width of a panel (16 to 64).
  static constexpr int64_t strip_multiple = 192;
  /// Rows [begin, begin + rows) of w, f32 or bf16. Every row is set once, before the first product.
  virtual void set_rows(int64_t begin, const Tensor& rows) = 0;

  virtual Dtype dtype() const = 0;
  virtual int64_t bytes() const = 0;
  /// Can a product be written in that dtype? f32 always can.
  virtual bool writes(Dtype output) const = 0;
  /// y [rows of a, outputs] of dtype `output` = a w^T + bias, or, accumulating (in f32), y += that. a is f32 or bf16
  /// and has a row at least; the bias f32 [outputs], or undefined.
  virtual void multiply(const Tensor& a, const Tensor& bias, void* y, Dtype output, bool accumulate) const = 0;
};

namespace cpu {
Dtype packed_dtype(Precision precision);
std::shared_ptr<PackedWeights> make_weights(Device& device, int64_t outputs, int64_t inputs, Precision precision);
}  // namespace cpu

}  // namespace sae
