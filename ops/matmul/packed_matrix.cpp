#include "ops/matmul/packed_matrix.h"

#include "engine/dense_product_cuda.h"
#include "engine/error.h"
#include "ops/add/add_cuda.h"
#include "ops/matmul/packed_weights.h"

namespace sae {
namespace {

/// simt and cuda: as they are, rows after rows.
class DeviceWeights final : public PackedWeights {
 public:
  explicit DeviceWeights(Tensor weights) : weights_(std::move(weights)) {}

  Dtype dtype() const override { return weights_.dtype(); }
  int64_t bytes() const override { return weights_.bytes(); }
  bool writes(Dtype output) const override { return output == Dtype::f32; }

  void multiply(const Tensor& a, const Tensor& bias, void* y, Dtype, bool accumulate) const override {
    Device& device = a.device();
    const Tensor left = a.to(dtype());
    const DenseProduct sizes = {a.rows(), a.cols(), weights_.rows(), false, true};
    auto* to = static_cast<float*>(y);
    if (dtype() == Dtype::bf16) {
      SIMT_CALL(device.kind(), dense_product, device, left.data<bfloat16>(), weights_.data<bfloat16>(), to, sizes,
                accumulate);
    } else {
      SIMT_CALL(device.kind(), dense_product, device, left.data<float>(), weights_.data<float>(), to, sizes,
                accumulate);
    }
    if (bias.defined()) {
      SIMT_CALL(device.kind(), add, device.stream(), to, bias.data<float>(), a.rows(), weights_.rows(), int64_t{1});
    }
  }

 private:
  Tensor weights_;  // [outputs, inputs]
};

}  // namespace

Dtype PackedMatrix::packed_dtype(const Device& device, Precision precision) {
  switch (device.kind()) {
    case DeviceKind::cpu:
      return cpu::packed_dtype(precision);
    case DeviceKind::simt:
    case DeviceKind::cuda:
      return precision == Precision::bf16 ? Dtype::bf16 : Dtype::f32;
  }
  refuse_device("packed matrix", device.kind());
}

PackedMatrix PackedMatrix::pack(const Tensor& w, Precision precision, const Tensor& bias) {
  CHECK(w.dtype() == Dtype::f32 || w.dtype() == Dtype::bf16, "packed matrix: expected f32 or bf16 weights, got {}",
        w.describe());
  CHECK(!bias.defined() || (bias.dtype() == Dtype::f32 && bias.elements() == w.rows()),
        "packed matrix: a bias {} for weights {}; it is f32, one entry an output", bias.describe(), w.describe());
  if (bias.defined()) require_same_device("packed matrix", {&w, &bias});
  PackedMatrix packed;
  packed.outputs_ = w.rows();
  packed.inputs_ = w.cols();
  packed.bias_ = bias;
  switch (w.device().kind()) {
    case DeviceKind::cpu:
      packed.weights_ = cpu::pack_weights(w, precision);
      break;
    case DeviceKind::simt:
    case DeviceKind::cuda:
      packed.weights_ = std::make_shared<DeviceWeights>(w.to(packed_dtype(w.device(), precision)));
      break;
  }
  return packed;
}

int64_t PackedMatrix::bytes() const { return weights_->bytes(); }

Dtype PackedMatrix::input_dtype() const { return weights_->dtype(); }

Tensor PackedMatrix::product(const Tensor& a, Dtype output) const {
  CHECK(a.cols() == inputs_, "packed matrix: {} times a [{}, {}] weight", a.describe(), outputs_, inputs_);
  if (!weights_->writes(output)) return product(a).to(output);
  Writable y = Tensor::empty(a.device(), {a.rows(), outputs_}, output);
  if (a.rows() > 0) weights_->multiply(a, bias_, y.raw(), output, false);
  return std::move(y).freeze();
}

void PackedMatrix::add_product(const Tensor& a, Writable& sum) const {
  CHECK(a.cols() == inputs_ && sum.shape() == Shape({a.rows(), outputs_}),
        "packed matrix: {} times a [{}, {}] weight, added to {}", a.describe(), outputs_, inputs_,
        sum.shape().to_string());
  if (a.rows() > 0) weights_->multiply(a, bias_, sum.data<float>(), Dtype::f32, true);
}

}  // namespace sae
