#include "ops/matmul/packed_matrix.h"

#include <algorithm>
#include <cstddef>

#include "engine/dense_product_cuda.h"
#include "engine/error.h"
#include "ops/add/add_cuda.h"
#include "ops/matmul/packed_weights.h"

namespace sae {
namespace {

/// simt and cuda: as they are, rows after rows.
class DeviceWeights final : public PackedWeights {
 public:
  DeviceWeights(Device& device, int64_t outputs, int64_t inputs, Dtype dtype)
      : outputs_(outputs), row_bytes_(inputs * size_of(dtype)), dtype_(dtype) {
    buffer_ = device.allocate(static_cast<size_t>(bytes()));
  }

  void set_rows(int64_t begin, const Tensor& rows) override {
    Device& device = buffer_->device();
    const Tensor rounded = rows.to(device).to(dtype_);
    device.copy(static_cast<std::byte*>(buffer_->data()) + begin * row_bytes_, rounded.raw(),
                static_cast<size_t>(rounded.bytes()));
  }

  Dtype dtype() const override { return dtype_; }
  int64_t bytes() const override { return outputs_ * row_bytes_; }
  bool writes(Dtype output) const override { return output == Dtype::f32; }

  void multiply(const Tensor& a, const Tensor& bias, void* y, Dtype, bool accumulate) const override {
    Device& device = a.device();
    const Tensor left = a.to(dtype());
    const DenseProduct sizes = {a.rows(), a.cols(), outputs_, false, true};
    auto* to = static_cast<float*>(y);
    if (dtype() == Dtype::bf16) {
      SIMT_CALL(device.kind(), dense_product, device, left.data<bfloat16>(), weights<bfloat16>(), to, sizes,
                accumulate);
    } else {
      SIMT_CALL(device.kind(), dense_product, device, left.data<float>(), weights<float>(), to, sizes, accumulate);
    }
    if (bias.defined()) {
      SIMT_CALL(device.kind(), add, device.stream(), to, bias.data<float>(), a.rows(), outputs_, int64_t{1});
    }
  }

 private:
  template <class T>
  const T* weights() const {
    return static_cast<const T*>(buffer_->data());
  }

  int64_t outputs_, row_bytes_;
  Dtype dtype_;
  std::shared_ptr<Buffer> buffer_;  // [outputs, inputs]
};

/// Of a weight that is packed piece by piece: enough of them to keep all threads busy, and little beside the whole.
constexpr int64_t strip_bytes = 4 << 20;

int64_t rows_of_strip(int64_t row_bytes) {
  return std::max<int64_t>(1, strip_bytes / (row_bytes * PackedWeights::strip_multiple)) *
         PackedWeights::strip_multiple;
}

std::shared_ptr<PackedWeights> make_weights(Device& device, int64_t outputs, int64_t inputs, Precision precision) {
  switch (device.kind()) {
    case DeviceKind::cpu:
      return cpu::make_weights(device, outputs, inputs, precision);
    case DeviceKind::simt:
    case DeviceKind::cuda:
      return std::make_shared<DeviceWeights>(device, outputs, inputs, PackedMatrix::packed_dtype(device, precision));
  }
  refuse_device("packed matrix", device.kind());
}

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

PackedMatrix::PackedMatrix(std::shared_ptr<const PackedWeights> weights, int64_t outputs, int64_t inputs,
                           const Tensor& bias)
    : weights_(std::move(weights)), bias_(bias), outputs_(outputs), inputs_(inputs) {
  CHECK(!bias.defined() || (bias.dtype() == Dtype::f32 && bias.elements() == outputs),
        "packed matrix: a bias {} for weights [{}, {}]; it is f32, one entry an output", bias.describe(), outputs,
        inputs);
}

PackedMatrix PackedMatrix::pack(const Tensor& w, Precision precision, const Tensor& bias) {
  CHECK(w.dtype() == Dtype::f32 || w.dtype() == Dtype::bf16, "packed matrix: expected f32 or bf16 weights, got {}",
        w.describe());
  if (bias.defined()) require_same_device("packed matrix", {&w, &bias});
  const auto weights = make_weights(w.device(), w.rows(), w.cols(), precision);
  weights->set_rows(0, w);
  return PackedMatrix(weights, w.rows(), w.cols(), bias);
}

PackedMatrix PackedMatrix::pack(Device& device, int64_t outputs, int64_t inputs, Precision precision,
                                const WriteRows& write, const Tensor& bias) {
  std::unique_ptr<Device> host;  // beside a device that is not the processor
  if (device.kind() != DeviceKind::cpu) host = Device::open(DeviceKind::cpu);
  const Dtype dtype = packed_dtype(device, precision);
  const int64_t strip = rows_of_strip(inputs * size_of(dtype));
  const auto weights = make_weights(device, outputs, inputs, precision);
  for (int64_t begin = 0; begin < outputs; begin += strip) {
    const int64_t end = std::min(outputs, begin + strip);
    Writable rows = Tensor::empty(host ? *host : device, {end - begin, inputs}, dtype);
    write(begin, end, rows.raw());
    weights->set_rows(begin, std::move(rows).freeze());
  }
  return PackedMatrix(weights, outputs, inputs, bias);
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
