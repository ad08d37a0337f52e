#include "ops/dead_latents/dead_latents.h"

#include "engine/error.h"
#include "ops/dead_latents/dead_latents_cuda.h"
#include "ops/firings/firings_cuda.h"
#include "ops/relu/relu_cuda.h"
#include "ops/subtract/subtract.h"

namespace sae {
namespace {

constexpr std::string_view op = "dead_latents";

/// Memory that this file alone writes, in the order of the stream.
template <class T>
T* in_place(const Tensor& tensor) {
  return const_cast<T*>(tensor.data<T>());
}

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

DeadLatents::DeadLatents(Device& device, const std::vector<int64_t>& rows_since_fired, int64_t dead_after,
                         int64_t capacity)
    : rows_since_fired_(Tensor::from(device, {static_cast<int64_t>(rows_since_fired.size())}, rows_since_fired)),
      listed_(Tensor::empty(device, {capacity}, Dtype::i32).freeze()),
      dead_after_(dead_after) {
  if (device.kind() == DeviceKind::cpu) refuse_device(op, device.kind());
  CHECK(0 <= capacity && capacity <= rows_since_fired_.elements(), "{}: room for {} of {} latents", op, capacity,
        rows_since_fired_.elements());
}

void DeadLatents::list(int* dead) {
  Device& device = listed_.device();
  SIMT_CALL(device.kind(), list_dead, device, rows_since_fired_.data<int64_t>(), rows_since_fired_.elements(),
            dead_after_, in_place<int32_t>(listed_), capacity(), dead);
}

void DeadLatents::count(const RowSparse& latents, float above, int* active) {
  Device& device = listed_.device();
  Writable fired = Tensor::empty(device, {latents.cols}, Dtype::i32);
  device.clear(fired.raw(), static_cast<size_t>(fired.bytes()));
  SIMT_CALL(device.kind(), add_firings, device.stream(), latents.values.data<float>(),
            latents.columns.index().data<int32_t>(), latents.values.elements(), latents.cols, above,
            fired.data<int32_t>());
  SIMT_CALL(device.kind(), count_rows_since_fired, device.stream(), fired.data<int32_t>(), latents.cols,
            latents.columns.rows(), in_place<int64_t>(rows_since_fired_), active);
}

AuxiliaryGradients auxiliary_gradients(const AuxiliaryInputs& in) {
  Device& device = in.listed.device();
  const DeviceKind kind = device.kind();
  const int64_t latents = in.encoder.rows(), listed = in.listed.elements();
  const int64_t rows = in.centred.rows(), width = in.centred.cols();
  const auto product = [&](const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b) {
    return dense_product(a, transpose_a, b, transpose_b, in.precision);
  };
  const Tensor encoder = gathered(in.encoder, in.listed), decoder = gathered(in.decoder, in.listed);
  const Tensor bias = gathered(in.encoder_bias, in.listed);

  Writable kept = product(in.centred, false, encoder, true).into_writable();
  SIMT_CALL(kind, keep_best, device, kept.data<float>(), rows, listed, bias.data<float>(), in.listed.data<int32_t>(),
            latents, in.k);
  const Tensor active = std::move(kept).freeze();

  Writable error = product(active, false, decoder, false).into_writable(),
           loss = Tensor::empty(device, {1}, Dtype::f32);
  SIMT_CALL(kind, auxiliary_error, device, in.residual.data<float>(), in.residual_sums.data<float>(), rows, width,
            in.weight, in.listed.data<int32_t>(), latents, error.data<float>(), loss.data<float>());
  const Tensor g = std::move(error).freeze();

  const Tensor unmasked = product(g, false, decoder, true);
  Writable masked = Tensor::empty(device, unmasked.shape(), Dtype::f32);
  SIMT_CALL(kind, relu_backward, device.stream(), active.data<float>(), unmasked.data<float>(), masked.data<float>(),
            unmasked.elements());
  const Tensor da = std::move(masked).freeze();
  const Tensor bias_gradient = column_sum(da);
  const Variable pre_bias = subtract(Variable(column_sum(g)), dense_product(bias_gradient, false, encoder, false));
  return {std::move(loss).freeze(),
          {in.listed, product(da, true, in.centred, false), latents},
          {in.listed, bias_gradient.with_shape({listed, 1}), latents},
          {in.listed, product(active, true, g, false), latents},
          require_dense(op, pre_bias.value)};
}

}  // namespace sae
