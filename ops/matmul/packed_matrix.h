#pragma once

#include <functional>
#include <memory>

#include "engine/tensor.h"
#include "ops/matmul/matmul.h"

namespace sae {

class PackedWeights;

/// A weight w [outputs, inputs] laid out once for many products a w^T + bias: what a frozen language model multiplies
/// by.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// w is f32 or bf16; with Precision::bf16 the packed copy is bfloat16 (half the memory), except on a processor
  /// without such products. The bias, f32 of `outputs` elements, or none, is added in float32.
  static PackedMatrix pack(const Tensor& w, Precision precision, const Tensor& bias = {});

  /// Writes rows [begin, end) of a weight to the processor's memory, in packed_dtype.
  using WriteRows = std::function<void(int64_t begin, int64_t end, void* to)>;
  /// The same of a weight that is read from somewhere, some MB at a time, so that it never stands in memory twice.
  static PackedMatrix pack(Device& device, int64_t outputs, int64_t inputs, Precision precision, const WriteRows& write,
                           const Tensor& bias = {});

  /// The dtype of the packed copy on that device.
  static Dtype packed_dtype(const Device& device, Precision precision);

  int64_t outputs() const { return outputs_; }
  int64_t inputs() const { return inputs_; }
  int64_t bytes() const;  ///< of the packed copy
  /// The dtype in which the product reads its left factor: bf16 for a bfloat16 packing, else f32. A factor that comes
  /// in this dtype is used as it is; another is converted first.
  Dtype input_dtype() const;

  /// a [rows, inputs] times w^T, and the bias, as a new tensor of dtype f32 or bf16.
  Tensor product(const Tensor& a, Dtype output = Dtype::f32) const;
  /// sum [rows, outputs] (f32) += a w^T + bias.
  void add_product(const Tensor& a, Writable& sum) const;

 private:
  PackedMatrix(std::shared_ptr<const PackedWeights> weights, int64_t outputs, int64_t inputs, const Tensor& bias);

  std::shared_ptr<const PackedWeights> weights_;
  Tensor bias_;  // undefined where there is none
  int64_t outputs_ = 0;
  int64_t inputs_ = 0;
};

}  // namespace sae
