#include "experiments/toy_features/toy_runs.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "engine/error.h"
#include "engine/not_finite.h"
#include "engine/parallel.h"
#include "experiments/common/progress.h"

namespace sae {
namespace {

/// Rows for one purpose beside training: as many batches, from `first` of the stream on.
std::vector<Tensor> sample(const ToyData& data, int64_t first, int64_t batch_size, Device& device) {
  constexpr int64_t batches = 8;
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < batches; ++i)
    rows.push_back(data.batch(static_cast<uint64_t>(first + i), batch_size).to(device));
  return rows;
}

bool resamples_after(const ToyPlan& plan, int64_t steps_done) {
  const int64_t steps = plan.training.steps, parts = 2 * plan.resamples;
  return facts_of(plan.model.activation).resampled && parts > 0 && steps_done <= steps / 2 &&
         steps_done % std::max<int64_t>(1, steps / parts) == 0;
}

Recovery measure(const ToyData& data, const ToyPlan& plan, Trainer& trainer, const std::vector<Tensor>& for_threshold,
                 const std::vector<Tensor>& for_metrics) {
  trainer.measure_threshold(for_threshold);
  MetricsSum sum(data.mean(), plan.model.latents);
  for (const Tensor& x : for_metrics) add_batch(sum, trainer.autoencoder(), x);
  const Metrics metrics = sum.result();
  return {std::string(name_of(plan.model.activation)),
          plan.model.latents,
          facts_of(plan.model.activation).chooses_k ? plan.model.k : 0,
          plan.model.penalty,
          plan.training.learning_rate,
          metrics.l0,
          metrics.normalised_mse,
          metrics.dead_fraction,
          match_dictionary(trainer.autoencoder().decoder().value().to(data.directions().device()), data.directions())};
}

}  // namespace

std::vector<std::optional<Recovery>> train_all(const ToyData& data, std::span<const ToyPlan> plans, Device& device) {
  CHECK(!plans.empty(), "toy runs: no autoencoder to train");
  const TrainingOptions& first = plans[0].training;
  const int64_t steps = first.steps, batch_size = first.batch_size;
  const Tensor mean = data.mean().to(device);
  std::vector<std::unique_ptr<Trainer>> trainers;
  for (const ToyPlan& plan : plans) {
    CHECK(plan.training.steps == steps && plan.training.batch_size == batch_size && plan.training.seed == first.seed,
          "toy runs: autoencoders that differ in steps, batch size or seed cannot share one stream of rows");
    trainers.push_back(std::make_unique<Trainer>(Autoencoder::initialise(plan.model, mean, first.seed), plan.training));
  }
  std::vector<std::optional<Recovery>> found(plans.size());
  const auto for_each = [&](auto&& work) {
    const auto count = static_cast<int64_t>(plans.size());
    const int64_t at_once = device.kind() == DeviceKind::cpu ? 1 : count;  // elsewhere one after the other
    parallel_for(count, at_once, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        if (trainers[i] == nullptr) continue;
        try {
          work(i);
        } catch (const NotFinite& error) {
          fmt::print(stderr, "{}, learning rate {:g}: {}\n", name_of(plans[i].model.activation),
                     plans[i].training.learning_rate, error.what());
          trainers[i].reset();
        }
      }
    });
  };
  Progress progress(fmt::format("{} autoencoder{}", plans.size(), plans.size() == 1 ? "" : "s"), steps * batch_size,
                    "rows");
  std::vector<Tensor> rows;  // for resampling, the same at each time
  for (int64_t step = 0; step < steps; ++step) {
    const Tensor x = data.batch(static_cast<uint64_t>(step), batch_size).to(device);
    const bool any_resamples =
        std::any_of(plans.begin(), plans.end(), [&](const ToyPlan& plan) { return resamples_after(plan, step + 1); });
    if (any_resamples && rows.empty()) rows = sample(data, 2 * steps, batch_size, device);
    for_each([&](size_t i) {
      trainers[i]->step(x);
      if (resamples_after(plans[i], step + 1)) trainers[i]->resample_dead(rows);
    });
    progress.update((step + 1) * batch_size);
  }
  progress.finish();
  const std::vector<Tensor> for_threshold = sample(data, 3 * steps, batch_size, device),
                            for_metrics = sample(data, 4 * steps, batch_size, device);
  for_each([&](size_t i) { found[i] = measure(data, plans[i], *trainers[i], for_threshold, for_metrics); });
  return found;
}

}  // namespace sae
