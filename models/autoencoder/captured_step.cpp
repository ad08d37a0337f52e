#include "models/autoencoder/captured_step.h"

#include <fmt/format.h>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "ops/adam/adam_device.h"
#include "ops/adam/adam_rows.h"
#include "ops/auxiliary_loss/auxiliary_loss_device.h"
#include "ops/reconstruction_loss/reconstruction_loss_cuda.h"
#include "ops/relu/relu.h"
#include "ops/relu/relu_cuda.h"
#include "ops/subtract_row/subtract_row.h"
#include "ops/topk_encode/encode_rows.h"
#include "ops/topk_encode/topk_encode_device.h"

namespace sae {
namespace {

constexpr std::string_view op = "captured step";
constexpr size_t parameter_count = 4;

}  // namespace

/// What a step leaves on the device for the host to read when it likes.
struct CapturedStep::Words {
  EncodeWords encode;
  int bad_rows[parameter_count] = {EncodeWords{}.first_bad, EncodeWords{}.first_bad, EncodeWords{}.first_bad,
                                   EncodeWords{}.first_bad};  // of each parameter, after its update
  int dead = 0;
  int active = 0;
  float loss = 0, auxiliary_loss = 0;
};

/// What backward needs.
struct CapturedStep::Forward {
  Tensor centred;   // x - b_pre
  Value latents;    // z, row-sparse
  Tensor residual;  // y - x
  Tensor residual_sums;
  Tensor products;  // residual row . decoder row at the places of z
};

bool CapturedStep::can_take(const Autoencoder& autoencoder, const TrainingOptions& options) {
  const Tensor& encoder = autoencoder.encoder().value();
  return encoder.device().kind() != DeviceKind::cpu && encoder.dtype() == Dtype::f32 &&
         autoencoder.options().activation == Activation::topk && options.fused && options.clip_norm == 0 &&
         options.bias_rate == 1 && !options.freeze_decoder && !options.freeze_encoder_bias &&
         !options.free_decoder_norm;
}

CapturedStep::CapturedStep(Device& device, const AutoencoderOptions& model, const TrainingOptions& training,
                           const std::vector<int64_t>& rows_since_fired, int64_t dead_capacity)
    : device_(device),
      model_(model),
      training_(training),
      dead_(device, rows_since_fired, training.dead_after, dead_capacity),
      x_(Tensor::empty(device, {training.batch_size, model.width}, Dtype::f32).freeze()),
      one_(Tensor::scalar(device, 1.0f)),
      words_(device.allocate(sizeof(Words))),
      fresh_words_(device.allocate(sizeof(Words))),
      factors_(device.allocate(sizeof(AdamFactors<float>))),
      unread_words_(device.allocate(most_unread * sizeof(Words))),
      rows_upload_(open_upload(device, static_cast<size_t>(x_.bytes()))),
      factors_upload_(open_upload(device, sizeof(AdamFactors<float>))) {
  const Words fresh;
  device.copy_from_host(fresh_words_->data(), &fresh, sizeof fresh);
}

CapturedStep::Words* CapturedStep::words() const { return static_cast<Words*>(words_->data()); }

void CapturedStep::run(const Parts& parts, const float* rows, double learning_rate) {
  CHECK(unread_ < most_unread, "{}: {} steps ran since the last reports, and there is no room for more", op, unread_);
  parts_ = &parts;
  const int64_t step = parts.moments.front().step + 1;
  const AdamFactors<float> factors = adam_factors<float>({.learning_rate = learning_rate}, step);
  rows_upload_->start(rows, static_cast<size_t>(x_.bytes()));
  factors_upload_->start(&factors, sizeof factors);
  rows_upload_->finish(const_cast<float*>(x_.data<float>()));
  factors_upload_->finish(factors_->data());
  parts.panels.refresh(parts.autoencoder.encoder());
  if (has_run_ && recording_ == nullptr) recording_ = record(device_, [this] { launch(*parts_); });
  if (recording_ != nullptr) {
    recording_->run();
  } else {
    launch(parts);
  }
  has_run_ = true;
  parts_ = nullptr;
  device_.copy(static_cast<Words*>(unread_words_->data()) + unread_, words(), sizeof(Words));
  ++unread_;
  // A graph changed what lies on the device; the host's counters follow.
  const std::vector<Parameter*> parameters = parts.autoencoder.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i]->update<float>([](float*) {});
    parts.moments[i].step = step;
    if (parts.averages.empty() || parts.averages[i].updates() == step) continue;
    parts.averages[i].update_by_rows<float>(*parameters[i], [](const RowAverage<float>&) {});
  }
  parts.panels.mark_current(parts.autoencoder.encoder());
}

/// Launches a whole step. Recorded: it may read nothing that changes but memory of the device.
void CapturedStep::launch(const Parts& parts) {
  device_.copy(words(), fresh_words_->data(), sizeof(Words));
  dead_.list(&words()->dead);
  const Forward pass = forward(parts);
  if (dead_.capacity() > 0) add_auxiliary_gradients(parts, pass);
  add_gradients(parts, pass);
  dead_.count(std::get<RowSparse>(pass.latents), static_cast<float>(training_.fired_above), &words()->active);
  update(parts);
}

CapturedStep::Forward CapturedStep::forward(const Parts& parts) {
  const Autoencoder& model = parts.autoencoder;
  const Tensor &decoder = model.decoder().value(), &pre_bias = model.pre_bias().value();
  Forward pass;
  pass.centred = require_dense(op, subtract_row(x_, Variable(pre_bias)).value);
  const RowSparse best =
      on_device::topk_encode(pass.centred, model.encoder().value(), model.encoder_bias().value(), model_.k,
                             {.scoring = training_.scoring, .panels = &parts.panels}, &words()->encode);
  pass.latents = relu(Variable(Value(best))).value;
  const Tensor& values = stored_values(pass.latents);
  Writable residual = Tensor::empty(device_, x_.shape(), Dtype::f32);
  Writable products = Tensor::empty(device_, values.shape(), Dtype::f32);
  const ReconstructionTask<float> task = {sparse_rows(op, pass.latents), values.data<float>(),  decoder.data<float>(),
                                          pre_bias.data<float>(),        x_.data<float>(),      x_.cols(),
                                          residual.data<float>(),        products.data<float>()};
  SIMT_CALL(device_.kind(), reconstruct, device_, task, training_.mse_scale, &words()->loss);
  pass.residual = std::move(residual).freeze();
  pass.products = std::move(products).freeze();
  pass.residual_sums = column_sum(pass.residual);
  return pass;
}

/// Of the reconstruction's error, as the nodes of reconstruction_loss, relu, topk_encode and subtract_row send them.
void CapturedStep::add_gradients(const Parts& parts, const Forward& pass) {
  Autoencoder& model = parts.autoencoder;
  const auto scaled = [&](const Tensor& x) {
    Writable out = Tensor::empty(device_, x.shape(), Dtype::f32);
    SIMT_CALL(device_.kind(), scale_by_loss, device_.stream(), x.data<float>(), one_.data<float>(), training_.mse_scale,
              static_cast<double>(x_.elements()), out.data<float>(), x.elements());
    return std::move(out).freeze();
  };
  const Tensor& latents = stored_values(pass.latents);
  model.decoder().gradient.add(DeferredProduct{with_stored_values(pass.latents, scaled(latents)), pass.residual});
  model.pre_bias().gradient.add(scaled(pass.residual_sums));

  const Tensor products = scaled(pass.products);
  Writable masked = Tensor::empty(device_, products.shape(), Dtype::f32);
  SIMT_CALL(device_.kind(), relu_backward, device_.stream(), latents.data<float>(), products.data<float>(),
            masked.data<float>(), products.elements());
  const Value gradient = with_stored_values(pass.latents, std::move(masked).freeze());
  const Tensor sums = column_sum(gradient);
  model.encoder_bias().gradient.add(sums);
  model.encoder().gradient.add(DeferredProduct{gradient, pass.centred});
  const Tensor through_encoder = dense_product(sums, false, model.encoder().value(), false);
  Writable nothing = Tensor::empty(device_, through_encoder.shape(), Dtype::f32);
  device_.clear(nothing.raw(), static_cast<size_t>(nothing.bytes()));
  const Variable negative = subtract_row(std::move(nothing).freeze(), Variable(through_encoder));
  model.pre_bias().gradient.add(require_dense(op, negative.value));
}

void CapturedStep::add_auxiliary_gradients(const Parts& parts, const Forward& pass) {
  Autoencoder& model = parts.autoencoder;
  const on_device::AuxiliaryInputs in = {
      model.encoder().value(), model.encoder_bias().value(), model.decoder().value(), pass.centred,
      pass.residual,           pass.residual_sums,           dead_.listed(),          model_.k_aux,
      training_.precision};
  const on_device::AuxiliaryPass forward = on_device::auxiliary_forward(in);
  device_.copy(&words()->auxiliary_loss, forward.loss.raw(), sizeof(float));
  on_device::AuxiliaryGradients auxiliary = on_device::auxiliary_backward(in, forward, model_.aux_weight);
  model.encoder().gradient.add(std::move(auxiliary.encoder));
  model.encoder_bias().gradient.add(std::move(auxiliary.encoder_bias));
  model.decoder().gradient.add(std::move(auxiliary.decoder));
  model.pre_bias().gradient.add(std::move(auxiliary.pre_bias));
}

void CapturedStep::update(const Parts& parts) {
  const std::vector<Parameter*> parameters = parts.autoencoder.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const bool unit = parameters[i] == &parts.autoencoder.decoder();
    const on_device::AdamAhead ahead = {static_cast<const AdamFactors<float>*>(factors_->data()),
                                        &words()->bad_rows[i]};
    on_device::adam_step(*parameters[i], parts.moments[i], {}, unit ? RowConstraint::unit_norm : RowConstraint::none,
                         parts.averages.empty() ? nullptr : &parts.averages[i], &ahead);
  }
  // The packed encoder follows, in the memory it has.
  const Tensor& encoder = parts.autoencoder.encoder().value();
  parts.panels.pack_rows(0, encoder.rows(), encoder.data<float>());
}

std::vector<StepReport> CapturedStep::reports(const Autoencoder& autoencoder) {
  std::vector<Words> found(static_cast<size_t>(unread_));
  device_.copy_to_host(found.data(), unread_words_->data(), found.size() * sizeof(Words));
  std::vector<StepReport> reports;
  for (const Words& words : found) reports.push_back(report_of(words, autoencoder));
  unread_ = 0;
  return reports;
}

StepReport CapturedStep::report_of(const Words& found, const Autoencoder& autoencoder) const {
  const int none = EncodeWords{}.first_bad;
  if (found.encode.first_bad != none) refuse_row(found.encode.first_bad);
  const std::vector<const Parameter*> parameters = autoencoder.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (found.bad_rows[i] == none) continue;
    throw NotFinite(fmt::format("adam: row {} of '{}' became infinite or NaN; lower the learning rate",
                                found.bad_rows[i], parameters[i]->name()));
  }
  return {.normalised_mse = static_cast<double>(found.loss),
          .auxiliary_loss = static_cast<double>(found.auxiliary_loss),
          .l0 = static_cast<double>(found.active) / static_cast<double>(x_.rows()),
          .dead = found.dead,
          .whole_rows = found.encode.whole_rows};
}

}  // namespace sae
