#include "experiments/downstream/replaced_loss.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "experiments/downstream/bigram_model.h"
#include "experiments/downstream/simulated_latents.h"
#include "ops/cross_entropy/cross_entropy.h"
#include "ops/input_normalisation/input_normalisation.h"
#include "ops/kl_divergence/kl_divergence.h"

namespace sae {

LowerPart run_lower_part(const LanguageModel& model, std::span<const int32_t> ids, const ReplacementPlan& plan) {
  LowerPart part;
  part.ids.assign(ids.begin(), ids.end());
  const Tensor embedded = model.embed(model.tokens(ids));
  const int64_t layer = plan.place.layer, length = plan.context_length;
  if (plan.place.site == Site::resid_post) {
    part.residual = model.run_blocks(embedded, length, 0, layer + 1);
    part.activations = part.residual;
    return part;
  }
  part.residual = model.run_blocks(embedded, length, 0, layer);
  std::vector<Tensor> found;
  model.run_blocks(part.residual, length, layer, layer + 1, {&plan.place, 1}, &found);
  part.activations = found[0];
  return part;
}

namespace {

void copy_row(const Tensor& from, int64_t from_row, Writable& to, int64_t to_row) {
  const int64_t width = from.cols();
  from.device().copy(to.data<float>() + to_row * width, from.data<float>() + from_row * width,
                     static_cast<size_t>(width) * sizeof(float));
}

bool is_replaced(int64_t row, const ReplacementPlan& plan) { return row % plan.context_length >= plan.skip_positions; }

/// The rows of `x` with those of `replacement` at the positions that are replaced.
Tensor with_kept_positions(const Tensor& x, const Tensor& replacement, const ReplacementPlan& plan) {
  Writable out = replacement.clone().into_writable();
  for (int64_t row = 0; row < x.rows(); ++row) {
    if (!is_replaced(row, plan)) copy_row(x, row, out, row);
  }
  return std::move(out).freeze();
}

/// Every row the same.
Tensor repeated(const Tensor& row, int64_t rows) {
  Writable out = Tensor::empty(row.device(), {rows, row.elements()}, Dtype::f32);
  for (int64_t r = 0; r < rows; ++r) copy_row(row, 0, out, r);
  return std::move(out).freeze();
}

double squared_distance(const float* a, const float* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return sum;
}

/// The reconstruction in the model's own units; adds errors and active latents to each context's losses.
Tensor reconstruct(const Substitute& substitute, const LowerPart& part, const ReplacementPlan& plan,
                   const ActivationMeans& means, std::vector<ReplacedLoss>& losses) {
  const Tensor& x = part.activations;
  const InputNormalisation how = substitute.autoencoder->options().normalisation;
  const NormalisedRows normalised = normalise(x, how);
  const Value latents = substitute.kind == Substitute::Kind::simulated
                            ? substitute.simulated->simulate(part.ids, x.device())
                            : encode(*substitute.autoencoder, normalised.rows);
  const Tensor reconstruction = decode(*substitute.autoencoder, latents);
  const auto host = Device::open(DeviceKind::cpu);
  const Value latents_here = to_device(latents, *host);
  const SparseRows pattern = sparse_rows("downstream", latents_here);
  const float* values = stored_values(latents_here).data<float>();
  const std::vector<float> inputs = normalised.rows.to_vector<float>(), outputs = reconstruction.to_vector<float>();
  const std::vector<float> mean = means.as_seen.at(how).to_vector<float>();
  const int64_t width = x.cols();
  for (int64_t row = 0; row < x.rows(); ++row) {
    if (!is_replaced(row, plan)) continue;
    ReplacedLoss& loss = losses[static_cast<size_t>(row / plan.context_length)];
    const float* from = inputs.data() + row * width;
    ++loss.rows;
    loss.active += static_cast<double>(
        std::count_if(values + pattern.begin(row), values + pattern.end(row), [](float value) { return value > 0; }));
    loss.error += squared_distance(from, outputs.data() + row * width, width);
    loss.energy += squared_distance(from, mean.data(), width);
  }
  return denormalise(reconstruction, normalised.mean, normalised.norm);
}

Tensor substituted(const Substitute& substitute, const LowerPart& part, const ReplacementPlan& plan,
                   const ActivationMeans& means, std::vector<ReplacedLoss>& losses) {
  const Tensor& x = part.activations;
  switch (substitute.kind) {
    case Substitute::Kind::original:
      return x;
    case Substitute::Kind::zero:
      return with_kept_positions(x, Tensor::zeros(x.device(), x.shape(), Dtype::f32), plan);
    case Substitute::Kind::mean:
      return with_kept_positions(x, repeated(means.own, x.rows()), plan);
    case Substitute::Kind::autoencoder:
    case Substitute::Kind::simulated:
      return with_kept_positions(x, reconstruct(substitute, part, plan, means, losses), plan);
    case Substitute::Kind::bigrams:
      break;  // they read no activations
  }
  fail("downstream: unknown substitute {}", static_cast<int>(substitute.kind));
}

/// The residual stream after all blocks, with `activations` at the place.
Tensor run_upper_part(const LanguageModel& model, const LowerPart& part, const ReplacementPlan& plan,
                      const Tensor& activations) {
  const int64_t layer = plan.place.layer, end = model.sizes().layers;
  if (plan.place.site == Site::resid_post) {
    return model.run_blocks(activations, plan.context_length, layer + 1, end);
  }
  const Intervention put = {plan.place, [&](const Tensor&, int64_t, int64_t) { return activations; }};
  return model.run_blocks(part.residual, plan.context_length, layer, end, {}, nullptr, &put);
}

/// The scores of the next token at each row, with something put in.
Tensor replaced_logits(const LanguageModel& model, const Substitute& substitute, const LowerPart& part,
                       const ReplacementPlan& plan, const ActivationMeans& means, std::vector<ReplacedLoss>& losses) {
  if (substitute.kind == Substitute::Kind::bigrams) {
    return substitute.bigrams->logits(part.ids, part.activations.device());
  }
  return model.logits(run_upper_part(model, part, plan, substituted(substitute, part, plan, means, losses)));
}

/// What each row should have predicted; none where it is not counted.
Tensor targets(const LowerPart& part, const ReplacementPlan& plan) {
  const auto rows = static_cast<int64_t>(part.ids.size());
  std::vector<int32_t> ids(part.ids.size(), no_target);
  for (int64_t row = 0; row < rows; ++row) {
    const bool is_last = (row + 1) % plan.context_length == 0;
    if (is_replaced(row, plan) && !is_last) ids[static_cast<size_t>(row)] = part.ids[static_cast<size_t>(row + 1)];
  }
  return Tensor::from(part.activations.device(), {rows}, ids);
}

void add_row(ReplacedLoss& loss, float replaced, float original, float divergence) {
  ++loss.tokens;
  loss.loss += static_cast<double>(replaced);
  loss.increase += static_cast<double>(replaced) - static_cast<double>(original);
  loss.divergence += static_cast<double>(divergence);
}

}  // namespace

std::vector<std::vector<ReplacedLoss>> replaced_losses(const LanguageModel& model, const LowerPart& part,
                                                       const ReplacementPlan& plan, const ActivationMeans& means,
                                                       std::span<const Substitute> substitutes) {
  const auto rows = static_cast<int64_t>(part.ids.size());
  const Tensor target = targets(part, plan);
  const Tensor original = model.logits(run_upper_part(model, part, plan, part.activations));
  const std::vector<int32_t> wanted = target.to_vector<int32_t>();
  const std::vector<float> original_loss = cross_entropy(original, target).to_vector<float>();
  std::vector<std::vector<ReplacedLoss>> results;
  for (const Substitute& substitute : substitutes) {
    std::vector<ReplacedLoss> losses(static_cast<size_t>(rows / plan.context_length));
    const Tensor logits = substitute.kind == Substitute::Kind::original
                              ? original
                              : replaced_logits(model, substitute, part, plan, means, losses);
    const std::vector<float> loss = cross_entropy(logits, target).to_vector<float>();
    const std::vector<float> divergence = kl_divergence(original, logits).to_vector<float>();
    for (size_t row = 0; row < wanted.size(); ++row) {
      if (wanted[row] == no_target) continue;
      add_row(losses[row / static_cast<size_t>(plan.context_length)], loss[row], original_loss[row], divergence[row]);
    }
    for (ReplacedLoss& one : losses) {
      one.contexts = 1;
      one.increase_squares = one.mean_increase() * one.mean_increase();
      one.divergence_squares = one.mean_divergence() * one.mean_divergence();
    }
    results.push_back(std::move(losses));
  }
  return results;
}

namespace {

/// The mean of the replaced rows, as `how` makes them.
Tensor mean_row(std::span<const LowerPart> parts, const ReplacementPlan& plan, InputNormalisation how) {
  const int64_t width = parts[0].activations.cols();
  std::vector<double> sums(static_cast<size_t>(width), 0.0);
  int64_t count = 0;
  for (const LowerPart& part : parts) {
    const std::vector<float> values = normalise(part.activations, how).rows.to_vector<float>();
    for (int64_t row = 0; row < part.activations.rows(); ++row) {
      if (!is_replaced(row, plan)) continue;
      ++count;
      for (int64_t i = 0; i < width; ++i) {
        sums[static_cast<size_t>(i)] += static_cast<double>(values[static_cast<size_t>(row * width + i)]);
      }
    }
  }
  CHECK(count > 0, "downstream: no position of a context of {} is replaced", plan.context_length);
  std::vector<float> mean;
  for (const double sum : sums) mean.push_back(static_cast<float>(sum / static_cast<double>(count)));
  return Tensor::from(parts[0].activations.device(), {width}, mean);
}

}  // namespace

ActivationMeans activation_means(std::span<const LowerPart> parts, const ReplacementPlan& plan,
                                 std::span<const Substitute> substitutes) {
  CHECK(!parts.empty(), "downstream: no contexts");
  ActivationMeans means;
  means.own = mean_row(parts, plan, InputNormalisation::none);
  for (const Substitute& substitute : substitutes) {
    if (!substitute.has_latents()) continue;
    const InputNormalisation how = substitute.autoencoder->options().normalisation;
    if (!means.as_seen.contains(how)) means.as_seen.emplace(how, mean_row(parts, plan, how));
  }
  return means;
}

void ReplacedLoss::add(const ReplacedLoss& other) {
  contexts += other.contexts;
  tokens += other.tokens;
  loss += other.loss;
  increase += other.increase;
  divergence += other.divergence;
  increase_squares += other.increase_squares;
  divergence_squares += other.divergence_squares;
  rows += other.rows;
  active += other.active;
  error += other.error;
  energy += other.energy;
}

namespace {

/// Of the mean over contexts that have equally many tokens.
double standard_error(double mean, double squares, int64_t contexts) {
  if (contexts < 2) return 0;
  const auto count = static_cast<double>(contexts);
  return std::sqrt(std::max(0.0, squares / count - mean * mean) / (count - 1));
}

}  // namespace

double ReplacedLoss::increase_error() const { return standard_error(mean_increase(), increase_squares, contexts); }
double ReplacedLoss::divergence_error() const {
  return standard_error(mean_divergence(), divergence_squares, contexts);
}

Json to_json(const ReplacedLoss& loss) {
  Json json = Json::object();
  json.set("contexts", loss.contexts).set("tokens", loss.tokens).set("loss", loss.loss);
  json.set("increase", loss.increase).set("divergence", loss.divergence);
  json.set("increase_squares", loss.increase_squares).set("divergence_squares", loss.divergence_squares);
  json.set("rows", loss.rows).set("active", loss.active).set("error", loss.error).set("energy", loss.energy);
  return json;
}

ReplacedLoss read_replaced_loss(const Json& json) {
  ReplacedLoss loss;
  loss.contexts = json.at("contexts").integer();
  loss.tokens = json.at("tokens").integer();
  loss.loss = json.at("loss").number();
  loss.increase = json.at("increase").number();
  loss.divergence = json.at("divergence").number();
  loss.increase_squares = json.at("increase_squares").number();
  loss.divergence_squares = json.at("divergence_squares").number();
  loss.rows = json.at("rows").integer();
  loss.active = json.at("active").number();
  loss.error = json.at("error").number();
  loss.energy = json.at("energy").number();
  return loss;
}

}  // namespace sae
