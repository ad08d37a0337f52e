// Training and metrics on every device, held against the cpu.
#include "models/autoencoder/input_normalisation.h"
#include "models/autoencoder/metrics.h"
#include "models/autoencoder/trainer.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

constexpr int64_t width = 12, latents = 40, rows = 24, steps = 200;

/// The largest relative difference of a loss in 200 steps of float32: products are summed in other orders, and training
/// carries the roundings on.
constexpr double loss_tolerance = 1e-3;

class TrainingOnDevice : public DeviceTest {
 protected:
  /// Rows made of six hidden directions, so that some latents die and losses fall.
  Tensor batch(int64_t step) {
    const std::vector<double> hidden = random_tensor(*host_, {6, width}, Dtype::f64, 5).to_vector<double>();
    const Philox random(6, static_cast<uint64_t>(step));
    std::vector<double> x(static_cast<size_t>(rows * width), 0.0);
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t row = i / width, col = i % width;
      for (size_t f = 0; f < 6; ++f) {
        const uint64_t draw = row * 6 + f;
        const double strength = random.uniform(draw) < 0.4f ? 1 + std::abs(random.normal(1000 + draw)) : 0.02;
        x[i] += strength * hidden[f * width + col];
      }
    }
    return normalise(Tensor::from(*host_, {rows, width}, x).to(Dtype::f32), InputNormalisation::centred_unit_norm).rows;
  }

  static Trainer make(Device& device, Activation activation, TrainingOptions training) {
    AutoencoderOptions model{.width = width, .latents = latents, .activation = activation, .k = 4};
    if (activation == Activation::relu) model.penalty = 0.3;
    if (activation == Activation::topk) model.k_aux = 6;
    const Tensor pre_bias = Tensor::from(device, {width}, std::vector<float>(width, 0.02f));
    return {Autoencoder::initialise(model, pre_bias, 3), training};
  }
  static TrainingOptions plain() {
    return {.learning_rate = 1e-3,
            .batch_size = rows,
            .steps = steps,
            .penalty_warmup = 0.2,
            .dead_after = 5 * rows,
            .mse_scale = 3.7,
            .fused = false};
  }

  std::unique_ptr<Device> host_ = Device::open(DeviceKind::cpu);
};
INSTANTIATE_TEST_SUITE_P(Devices, TrainingOnDevice, every_device, device_name);

double relative(double a, double b) { return std::abs(a - b) / std::max(std::abs(b), 1e-12); }

void expect_near(const Metrics& actual, const Metrics& expected, double tolerance) {
  EXPECT_LT(relative(actual.normalised_mse, expected.normalised_mse), tolerance);
  EXPECT_LT(relative(actual.per_row_mse, expected.per_row_mse), tolerance);
  EXPECT_LT(relative(actual.explained_variance, expected.explained_variance), tolerance);
  EXPECT_LT(relative(actual.l1, expected.l1), tolerance);
  EXPECT_EQ(actual.rows, expected.rows);
}

TEST_P(TrainingOnDevice, TheSameStartOnEveryDevice) {
  const Trainer here = make(device_, Activation::topk, plain()), there = make(*host_, Activation::topk, plain());
  const auto actual = here.autoencoder().parameters(), expected = there.autoencoder().parameters();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(actual[i]->value().to_vector<float>(), expected[i]->value().to_vector<float>()) << expected[i]->name();
  }
}

TEST_P(TrainingOnDevice, LossesAgreeOver200Steps) {
  if (GetParam() == DeviceKind::cpu) GTEST_SKIP() << "the others are held against it";
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    Trainer here = make(device_, activation, plain()), there = make(*host_, activation, plain());
    int64_t steps_with_dead = 0, steps_compressed = 0;
    double worst = 0;
    for (int64_t step = 0; step < steps; ++step) {
      const Tensor x = batch(step);
      const StepReport actual = here.step(x.to(device_)), expected = there.step(x);
      EXPECT_EQ(actual.dead, expected.dead) << "step " << step;
      worst = std::max(worst, relative(actual.normalised_mse, expected.normalised_mse));
      worst = std::max(worst, relative(actual.auxiliary_loss, expected.auxiliary_loss));
      worst = std::max(worst, relative(actual.penalty, expected.penalty));
      steps_with_dead += actual.dead > 0;
      steps_compressed += actual.l0 < 0.08 * static_cast<double>(latents);
    }
    RecordProperty(std::string(name_of(activation)) + "_worst_relative_difference", std::to_string(worst));
    EXPECT_LT(worst, loss_tolerance) << name_of(activation);
    if (activation == Activation::topk) {
      EXPECT_GT(steps_with_dead, 50) << "the auxiliary loss was hardly ever active";
    } else {
      EXPECT_GT(steps_compressed, 20) << "relu's latents were hardly ever few";
    }
    const Autoencoder average = *here.averaged(), expected_average = *there.averaged();
    MetricsSum sum(Tensor::zeros(device_, {width}, Dtype::f32), latents);
    MetricsSum expected_sum(Tensor::zeros(*host_, {width}, Dtype::f32), latents);
    for (int64_t step = steps; step < steps + 4; ++step) {
      add_batch(sum, average, batch(step).to(device_), {.fused = false});
      add_batch(expected_sum, expected_average, batch(step), {.fused = false});
    }
    expect_near(sum.result(), expected_sum.result(), loss_tolerance);
  }
}

TEST_P(TrainingOnDevice, RestoredRunHasTheSameBits) {
  TrainingOptions options = plain();
  options.clip_norm = 0.05;
  Trainer whole = make(device_, Activation::topk, options), first = make(device_, Activation::topk, options);
  for (int64_t step = 0; step < 9; ++step) {
    whole.step(batch(step).to(device_));
    first.step(batch(step).to(device_));
  }
  Trainer second = make(device_, Activation::topk, options);
  second.restore(first.state());
  for (int64_t step = 9; step < 14; ++step) {
    whole.step(batch(step).to(device_));
    second.step(batch(step).to(device_));
  }
  const auto expected = whole.state().tensors, actual = second.state().tensors;
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(parity::bytes_of(actual[i].second, *host_), parity::bytes_of(expected[i].second, *host_))
        << expected[i].first;
  }
}

TEST_P(TrainingOnDevice, DeadLatentsAreResampledAlike) {
  TrainingOptions options = plain();
  options.dead_after = 1;
  Trainer here = make(device_, Activation::relu, options), there = make(*host_, Activation::relu, options);
  for (int64_t step = 0; step < 3; ++step) {
    here.step(batch(step).to(device_));
    there.step(batch(step));
  }
  const std::vector<Tensor> sample = {batch(100), batch(101)}, moved = {batch(100).to(device_), batch(101).to(device_)};
  const int64_t count = there.resample_dead(sample);
  EXPECT_GT(count, 0);
  EXPECT_EQ(here.resample_dead(moved), count);
  const auto actual = here.autoencoder().parameters(), expected = there.autoencoder().parameters();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_LT(worst_difference(to_double(actual[i]->value()), to_double(expected[i]->value())), 1e-4)
        << expected[i]->name();
  }
}

}  // namespace
}  // namespace sae
