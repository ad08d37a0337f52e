// Training on simt, and on cuda where there is a GPU, beside the cpu.
#include "engine/not_finite.h"
#include "models/autoencoder/input_normalisation.h"
#include "models/autoencoder/trainer.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

constexpr int64_t width = 12, latents = 40, batch = 24;

class DeviceTrainingTest : public DeviceTest {
 protected:
  /// Batches with structure: a few hidden directions, so that some latents die and losses fall.
  std::vector<float> rows_of(int64_t step) {
    const std::vector<double> hidden = to_double(random_tensor(*host_, {6, width}, Dtype::f64, 5));
    const Philox random(6, static_cast<uint64_t>(step));
    std::vector<double> x(static_cast<size_t>(batch * width), 0.0);
    for (int64_t row = 0; row < batch; ++row) {
      for (int64_t f = 0; f < 6; ++f) {
        const auto draw = static_cast<uint64_t>(row * 6 + f);
        const double strength = random.uniform(draw) < 0.4f ? 1 + std::abs(random.normal(1000 + draw)) : 0.02;
        for (int64_t i = 0; i < width; ++i) {
          x[static_cast<size_t>(row * width + i)] += strength * hidden[static_cast<size_t>(f * width + i)];
        }
      }
    }
    return normalise(Tensor::from(*host_, {batch, width}, x), InputNormalisation::centred_unit_norm)
        .rows.to(Dtype::f32)
        .to_vector<float>();
  }
  Tensor batch_of(Device& device, int64_t step) { return Tensor::from(device, {batch, width}, rows_of(step)); }

  static TrainingOptions training(int64_t steps) {
    return {.learning_rate = 1e-3, .batch_size = batch, .steps = steps, .dead_after = 5 * batch, .mse_scale = 3.7};
  }
  static Trainer make(Device& device, const TrainingOptions& options, int64_t k_aux = 6) {
    const AutoencoderOptions model{.width = width, .latents = latents, .k = 4, .k_aux = k_aux};
    std::vector<float> pre_bias = random_tensor(device, {width}, Dtype::f32, 8).to_vector<float>();
    for (float& value : pre_bias) value *= 0.05f;
    return Trainer(Autoencoder::initialise(model, Tensor::from(device, {width}, pre_bias), 3), options);
  }

  std::unique_ptr<Device> host_ = Device::open(DeviceKind::cpu);
};

INSTANTIATE_TEST_SUITE_P(Devices, DeviceTrainingTest, ::testing::Values(DeviceKind::simt, DeviceKind::cuda),
                         device_name);

double relative(double a, double b) { return std::abs(a - b) / std::max(b, 1e-12); }

/// The worst difference of any parameter, relative to its largest element.
double weight_difference(const Trainer& a, const Trainer& b) {
  double worst = 0;
  const auto left = a.autoencoder().parameters(), right = b.autoencoder().parameters();
  for (size_t i = 0; i < left.size(); ++i) {
    worst = std::max(worst, worst_difference(to_double(left[i]->value()), to_double(right[i]->value())));
  }
  return worst;
}

/// 200 steps with the auxiliary loss active in many: fused here against fused on the cpu and plain here.
TEST_P(DeviceTrainingTest, AgreesWithTheCpuAndWithThePlainStepsOver200Steps) {
  TrainingOptions options = training(200);
  Trainer fused = make(device_, options), cpu = make(*host_, options);
  options.fused = false;
  Trainer plain = make(device_, options);
  int64_t steps_with_dead = 0;
  for (int64_t step = 0; step < options.steps; ++step) {
    const StepReport got = fused.step(batch_of(device_, step));
    const StepReport there = cpu.step(batch_of(*host_, step)), unfused = plain.step(batch_of(device_, step));
    for (const StepReport& expected : {there, unfused}) {
      ASSERT_LT(relative(got.normalised_mse, expected.normalised_mse), 1e-4) << "step " << step;
      ASSERT_LT(relative(got.auxiliary_loss, expected.auxiliary_loss), 1e-4) << "step " << step;
      ASSERT_EQ(got.dead, expected.dead) << "step " << step;
    }
    steps_with_dead += got.dead > 0;
  }
  EXPECT_GT(steps_with_dead, 50) << "the auxiliary loss was hardly ever active";
  EXPECT_LT(weight_difference(fused, cpu), 1e-3);
  EXPECT_LT(weight_difference(fused, plain), 1e-3);
}

std::vector<std::string> bytes_of(const Trainer::State& state, Device& host) {
  std::vector<std::string> all;
  for (const auto& [name, tensor] : state.tensors) all.push_back(name + ": " + parity::bytes_of(tensor, host));
  return all;
}

TEST_P(DeviceTrainingTest, StepsThatRunAheadHaveTheSameBits) {
  TrainingOptions options = training(25);
  options.lr_warmup = 0.3;  // what changes from step to step
  options.lr_decay = 0.3;
  for (const Scoring scoring : {Scoring::exact, Scoring::bf16}) {
    options.scoring = scoring;
    Trainer ahead = make(device_, options, 0), waiting = make(device_, options, 0);
    StepReport expected;
    for (int64_t step = 0; step < options.steps; ++step) {
      ahead.step_ahead(rows_of(step));
      expected = waiting.step(batch_of(device_, step));
      if (step % 7 != 6) continue;
      const StepReport got = ahead.report();
      EXPECT_EQ(got.normalised_mse, expected.normalised_mse);
      EXPECT_EQ(got.l0, expected.l0);
      EXPECT_EQ(ahead.rows_since_fired(), waiting.rows_since_fired());
    }
    ahead.report();
    EXPECT_EQ(bytes_of(ahead.state(), *host_), bytes_of(waiting.state(), *host_)) << name_of(scoring);
    EXPECT_EQ(to_double(ahead.averaged()->decoder().value()), to_double(waiting.averaged()->decoder().value()));
    // And back: the two kinds of steps may take turns.
    ahead.step(batch_of(device_, 25));
    waiting.step(batch_of(device_, 25));
    EXPECT_EQ(bytes_of(ahead.state(), *host_), bytes_of(waiting.state(), *host_)) << name_of(scoring);
  }
}

TEST_P(DeviceTrainingTest, AuxiliaryLossRunsAheadToo) {
  TrainingOptions options = training(60);
  options.dead_capacity = latents;
  Trainer ahead = make(device_, options), waiting = make(device_, options);
  int64_t steps_with_dead = 0;
  for (int64_t step = 0; step < options.steps; ++step) {
    ahead.step_ahead(rows_of(step));
    const StepReport got = ahead.report(), expected = waiting.step(batch_of(device_, step));
    ASSERT_LT(relative(got.normalised_mse, expected.normalised_mse), 1e-4) << "step " << step;
    if (expected.dead > 0) {
      ASSERT_LT(relative(got.auxiliary_loss, expected.auxiliary_loss), 1e-4) << "step " << step;
      ++steps_with_dead;
    }
    ASSERT_EQ(got.dead, expected.dead) << "step " << step;
  }
  EXPECT_GT(steps_with_dead, 20);
  EXPECT_LT(weight_difference(ahead, waiting), 1e-3);
}

/// Room for dead latents is made by the reports: the loss comes in once one has counted some.
TEST_P(DeviceTrainingTest, ReportsMakeRoomForDeadLatents) {
  const TrainingOptions options = training(40);
  Trainer trainer = make(device_, options);
  std::vector<double> losses;
  for (int64_t step = 0; step < options.steps; ++step) {
    trainer.step_ahead(rows_of(step));
    if (step % 10 == 9) losses.push_back(trainer.report().auxiliary_loss);
  }
  EXPECT_GT(trainer.dead_latents(), 0);
  EXPECT_EQ(losses.front(), 0);
  EXPECT_GT(losses.back(), 0);
}

TEST_P(DeviceTrainingTest, ReportsSayWhatWentWrong) {
  Trainer trainer = make(device_, training(40));
  EXPECT_REFUSED(trainer.report(), "training: no step ran ahead");
  std::vector<float> rows = rows_of(0);
  EXPECT_REFUSED(trainer.step_ahead(std::span(rows).first(5)), "training: 5 numbers for a batch of 24");
  rows[3 * width + 1] = std::numeric_limits<float>::quiet_NaN();
  trainer.step_ahead(rows);
  EXPECT_REFUSED(trainer.step(batch_of(device_, 0)), "report()");
  EXPECT_THROW(trainer.report(), NotFinite);
  EXPECT_REFUSED(trainer.report(), "topk_encode: row 3");
  TrainingOptions clipped = training(40);
  clipped.clip_norm = 1;
  Trainer other = make(device_, clipped);
  EXPECT_FALSE(other.can_run_ahead());
  EXPECT_REFUSED(other.step_ahead(rows), "training: only fused TopK steps");
  EXPECT_FALSE(make(*host_, training(40)).can_run_ahead());
}

}  // namespace
}  // namespace sae
