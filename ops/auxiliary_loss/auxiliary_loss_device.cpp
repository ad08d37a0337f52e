#include "ops/auxiliary_loss/auxiliary_loss_device.h"

#include "ops/auxiliary_loss/auxiliary_loss_cuda.h"
#include "ops/relu/relu_cuda.h"
#include "ops/subtract/subtract.h"
#include "ops/subtract_row/subtract_row.h"

namespace sae::on_device {
namespace {

constexpr std::string_view op = "auxiliary_loss";

Tensor gathered(const Tensor& table, const Tensor& listed) {
  Device& device = table.device();
  const int64_t width = table.shape().rank() == 1 ? 1 : table.cols(),
                rows = table.elements() / std::max<int64_t>(width, 1);
  Writable out = Tensor::empty(device, {listed.elements(), width}, Dtype::f32);
  SIMT_CALL(device.kind(), gather_listed, device.stream(), table.data<float>(), rows, width, listed.data<int32_t>(),
            listed.elements(), out.data<float>());
  return std::move(out).freeze();
}

}  // namespace

AuxiliaryPass auxiliary_forward(const AuxiliaryInputs& in) {
  Device& device = in.listed.device();
  const int64_t latents = in.encoder.rows(), listed = in.listed.elements();
  const int64_t rows = in.centred.rows(), width = in.centred.cols();
  AuxiliaryPass pass;
  pass.encoder = gathered(in.encoder, in.listed);
  pass.decoder = gathered(in.decoder, in.listed);
  const Tensor bias = gathered(in.encoder_bias, in.listed);

  Writable kept = dense_product(in.centred, false, pass.encoder, true, in.precision).into_writable();
  SIMT_CALL(device.kind(), keep_best, device, kept.data<float>(), rows, listed, bias.data<float>(),
            in.listed.data<int32_t>(), latents, in.k);
  pass.active = std::move(kept).freeze();

  Writable error = dense_product(pass.active, false, pass.decoder, false, in.precision).into_writable();
  Writable loss = Tensor::empty(device, {1}, Dtype::f32), factor = Tensor::empty(device, {1}, Dtype::f32);
  SIMT_CALL(device.kind(), auxiliary_error, device, in.residual.data<float>(), in.residual_sums.data<float>(), rows,
            width, in.listed.data<int32_t>(), latents, error.data<float>(), loss.data<float>(), factor.data<float>());
  pass.loss = std::move(loss).freeze();
  pass.error = std::move(error).freeze();
  pass.factor = std::move(factor).freeze();
  return pass;
}

AuxiliaryGradients auxiliary_backward(const AuxiliaryInputs& in, const AuxiliaryPass& pass, double weight) {
  Device& device = in.listed.device();
  const int64_t latents = in.encoder.rows(), listed = in.listed.elements();
  Writable scaled = Tensor::empty(device, pass.error.shape(), Dtype::f32);
  SIMT_CALL(device.kind(), scale_error, device.stream(), pass.error.data<float>(), pass.factor.data<float>(),
            static_cast<float>(weight), scaled.data<float>(), pass.error.elements());
  const Tensor g = std::move(scaled).freeze();

  const Tensor unmasked = dense_product(g, false, pass.decoder, true, in.precision);
  Writable masked = Tensor::empty(device, unmasked.shape(), Dtype::f32);
  SIMT_CALL(device.kind(), relu_backward, device.stream(), pass.active.data<float>(), unmasked.data<float>(),
            masked.data<float>(), unmasked.elements());
  const Tensor p = std::move(masked).freeze();
  const Tensor sums = column_sum(p);
  const Variable pre_bias = subtract(Variable(column_sum(g)), dense_product(sums, false, pass.encoder, false));
  return {{in.listed, dense_product(p, true, in.centred, false, in.precision), latents},
          {in.listed, sums.with_shape({listed, 1}), latents},
          {in.listed, dense_product(pass.active, true, g, false, in.precision), latents},
          require_dense(op, pre_bias.value)};
}

namespace {

struct AuxiliaryLossNode final : Node {
  AuxiliaryInputs in;
  AuxiliaryPass pass;

  std::string_view name() const override { return op; }
  int64_t bytes_saved() const override {
    return in.centred.bytes() + pass.encoder.bytes() + pass.decoder.bytes() + pass.active.bytes() + pass.error.bytes();
  }
  double flops() const override {
    return 4.0 * static_cast<double>(pass.active.elements()) * static_cast<double>(in.centred.cols());
  }
  void backward(const Value& gradient, Gradients& to) override {
    AuxiliaryGradients found = auxiliary_backward(in, pass, require_dense(op, gradient).to(Dtype::f64).item<double>());
    if (to.wanted(0)) to.add(0, std::move(found.encoder));
    if (to.wanted(1)) to.add(1, std::move(found.encoder_bias));
    if (to.wanted(2)) to.add(2, std::move(found.decoder));
    if (to.wanted(3)) to.add(3, Value(found.pre_bias.with_shape({found.pre_bias.elements()})));
  }
};

}  // namespace

Variable auxiliary_loss(const DeadDictionary& latents, const Tensor& x, const Tensor& residual, Precision precision) {
  if (x.dtype() != Dtype::f32) refuse_dtype(op, x.dtype());
  auto node = std::make_unique<AuxiliaryLossNode>();
  const auto tensor = [](const Variable& v) { return std::get<Tensor>(v.value); };
  node->in = {tensor(latents.encoder),
              tensor(latents.encoder_bias),
              tensor(latents.decoder),
              require_dense(op, subtract_row(x, Variable(tensor(latents.pre_bias))).value),
              residual,
              column_sum(residual),
              latents.dead,
              latents.k,
              precision};
  node->pass = auxiliary_forward(node->in);
  Tensor loss = node->pass.loss;
  Tape* tape = tape_of({&latents.encoder, &latents.encoder_bias, &latents.decoder, &latents.pre_bias});
  if (tape == nullptr) return loss;
  return tape->record(std::move(loss), std::move(node),
                      {&latents.encoder, &latents.encoder_bias, &latents.decoder, &latents.pre_bias});
}

}  // namespace sae::on_device
