#include "models/autoencoder/trainer.h"

#include "engine/parallel.h"
#include "ops/input_normalisation/input_normalisation.h"
#include "tests/models/reference_training.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

constexpr int64_t width = 12, latents = 40, batch = 24, steps = 50;

class TrainerTest : public testing::CpuTest {
 protected:
  /// Batches with structure: a few hidden directions, so that some latents die and losses fall.
  Tensor batch_of(int64_t step, Dtype dtype) {
    const Tensor hidden = testing::random_tensor(device_, {6, width}, Dtype::f64, 5);
    const Philox random(6, static_cast<uint64_t>(step));
    std::vector<double> x(static_cast<size_t>(batch * width), 0.0);
    for (int64_t row = 0; row < batch; ++row) {
      for (int64_t f = 0; f < 6; ++f) {
        const auto draw = static_cast<uint64_t>(row * 6 + f);
        const double strength = random.uniform(draw) < 0.4f ? 1 + std::abs(random.normal(1000 + draw)) : 0.02;
        for (int64_t i = 0; i < width; ++i) {
          x[static_cast<size_t>(row * width + i)] += strength * hidden.data<double>()[f * width + i];
        }
      }
    }
    return normalise(f64({batch, width}, x), InputNormalisation::centred_unit_norm).rows.to(dtype);
  }

  static AutoencoderOptions model(Activation activation, double l1 = 0.05) {
    AutoencoderOptions options{.width = width, .latents = latents, .activation = activation, .k = 4};
    if (activation == Activation::relu) options.penalty = l1;
    if (activation == Activation::topk) options.k_aux = 6;
    return options;
  }
  static TrainingOptions training() {
    return {.learning_rate = 3e-3,
            .batch_size = batch,
            .steps = steps,
            .penalty_warmup = 0.2,
            .dead_after = 5 * batch,
            .mse_scale = 3.7};
  }
  Trainer make(Activation activation, Dtype dtype, TrainingOptions options = training(), double l1 = 0.05) {
    const Tensor pre_bias = testing::random_tensor(device_, {width}, Dtype::f64, 8).to(dtype);
    Writable small = Tensor::empty(device_, {width}, dtype);
    visit_real("test", dtype, [&](auto zero) {
      using T = decltype(zero);
      for (int64_t i = 0; i < width; ++i) small.data<T>()[i] = pre_bias.data<T>()[i] * T(0.05);
    });
    return Trainer(Autoencoder::initialise(model(activation, l1), std::move(small).freeze(), 3), options);
  }
  testing::ReferenceTraining reference_of(const Trainer& trainer) {
    const AutoencoderOptions& options = trainer.autoencoder().options();
    testing::ReferenceTraining reference;
    reference.topk = options.activation == Activation::topk;
    reference.width = width;
    reference.latents = latents;
    reference.k = options.k;
    reference.k_aux = options.k_aux;
    reference.steps = steps;
    reference.dead_after = trainer.options().dead_after;
    reference.l1 = options.penalty;
    reference.l1_warmup = trainer.options().penalty_warmup;
    reference.mse_scale = trainer.options().mse_scale;
    reference.learning_rate = trainer.options().learning_rate;
    reference.encoder = matrix(trainer.autoencoder().encoder().value());
    reference.decoder = matrix(trainer.autoencoder().decoder().value());
    reference.encoder_bias = testing::to_double(trainer.autoencoder().encoder_bias().value());
    reference.pre_bias = testing::to_double(trainer.autoencoder().pre_bias().value());
    return reference;
  }
  static std::vector<std::vector<double>> matrix(const Tensor& tensor) {
    const std::vector<double> flat = testing::to_double(tensor);
    std::vector<std::vector<double>> rows;
    for (int64_t row = 0; row < tensor.rows(); ++row) {
      rows.emplace_back(flat.begin() + row * tensor.cols(), flat.begin() + (row + 1) * tensor.cols());
    }
    return rows;
  }
  static std::vector<double> flat(const std::vector<std::vector<double>>& rows) {
    std::vector<double> all;
    for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
    return all;
  }
  void expect_agreement(Activation activation, Dtype dtype, double tolerance) {
    Trainer trainer = make(activation, dtype);
    testing::ReferenceTraining reference = reference_of(make(activation, Dtype::f64));
    int64_t steps_with_dead = 0;
    for (int64_t step = 0; step < steps; ++step) {
      const StepReport got = trainer.step(batch_of(step, dtype));
      const auto expected = reference.step(matrix(batch_of(step, Dtype::f64)));
      ASSERT_NEAR(got.normalised_mse, expected.mse, tolerance * expected.mse) << "step " << step;
      ASSERT_NEAR(got.penalty, expected.penalty, tolerance * (expected.penalty + 1e-300)) << "step " << step;
      ASSERT_NEAR(got.auxiliary_loss, expected.auxiliary, tolerance * (expected.auxiliary + 1e-300)) << "step " << step;
      ASSERT_EQ(got.dead, expected.dead) << "step " << step;
      steps_with_dead += got.dead > 0;
    }
    if (activation == Activation::topk) {
      EXPECT_GT(steps_with_dead, 10) << "the auxiliary loss was hardly ever active";
    }
    if (dtype != Dtype::f64) return;
    const auto& result = trainer.autoencoder();
    EXPECT_LT(testing::worst_difference(testing::to_double(result.encoder().value()), flat(reference.encoder)), 1e-9);
    EXPECT_LT(testing::worst_difference(testing::to_double(result.decoder().value()), flat(reference.decoder)), 1e-9);
    EXPECT_LT(testing::worst_difference(testing::to_double(result.pre_bias().value()), reference.pre_bias), 1e-9);
    EXPECT_LT(testing::worst_difference(testing::to_double(result.encoder_bias().value()), reference.encoder_bias),
              1e-9);
  }
};

TEST_F(TrainerTest, TopkWithAuxiliaryLossAgreesWithTheReferenceInDouble) {
  expect_agreement(Activation::topk, Dtype::f64, 1e-10);
}
TEST_F(TrainerTest, ReluAgreesWithTheReferenceInDouble) { expect_agreement(Activation::relu, Dtype::f64, 1e-10); }
TEST_F(TrainerTest, TopkWithAuxiliaryLossAgreesWithTheReferenceInFloat) {
  expect_agreement(Activation::topk, Dtype::f32, 1e-4);
}
TEST_F(TrainerTest, ReluAgreesWithTheReferenceInFloat) { expect_agreement(Activation::relu, Dtype::f32, 1e-4); }

TEST_F(TrainerTest, TopkStepDensifiesNothingAndDefersTheWeightGradients) {
  Trainer trainer = make(Activation::topk, Dtype::f32);
  TapeReport report;
  for (int64_t step = 0; step < 12; ++step) report = trainer.profile(batch_of(step, Dtype::f32));
  EXPECT_GT(trainer.dead_latents(), 0);
  EXPECT_EQ(report.densified, 0);
  int deferred = 0;
  for (const TapeReport::Row& row : report.rows) {
    if (row.name == "encoder" || row.name == "decoder") {
      EXPECT_EQ(row.gradient, "deferred product") << row.name;
      ++deferred;
    }
  }
  EXPECT_EQ(deferred, 2);
}

/// What two runs of the same batches differ by: the losses of each step, relative, and the weights at the end, relative
/// to the largest.
struct Difference {
  double loss = 0, weights = 0;
  int64_t steps_with_dead = 0, steps_compressed = 0;
};

TEST_F(TrainerTest, FusedStepAgreesWithThePlainOneOver200Steps) {
  const auto run = [&](Activation activation, bool auxiliary, Dtype dtype) {
    TrainingOptions options = training();
    options.steps = 200;
    options.learning_rate = 1e-3;
    if (!auxiliary) options.dead_after = 1'000'000;
    options.fused = true;
    Trainer fused = make(activation, dtype, options, 0.3);
    options.fused = false;
    Trainer plain = make(activation, dtype, options, 0.3);
    Difference worst;
    for (int64_t step = 0; step < options.steps; ++step) {
      const StepReport a = fused.step(batch_of(step, dtype)), b = plain.step(batch_of(step, dtype));
      EXPECT_EQ(a.dead, b.dead) << "step " << step;
      worst.loss = std::max(worst.loss, std::abs(a.normalised_mse - b.normalised_mse) / b.normalised_mse);
      worst.loss = std::max(worst.loss, std::abs(a.auxiliary_loss - b.auxiliary_loss) / (b.auxiliary_loss + 1e-300));
      worst.steps_with_dead += a.dead > 0;
      worst.steps_compressed += a.l0 < 0.08 * static_cast<double>(latents);
    }
    const auto got = fused.autoencoder().parameters(), expected = plain.autoencoder().parameters();
    for (size_t i = 0; i < got.size(); ++i) {
      worst.weights = std::max(worst.weights, testing::worst_difference(testing::to_double(got[i]->value()),
                                                                        testing::to_double(expected[i]->value())));
    }
    return worst;
  };
  for (const bool auxiliary : {false, true}) {
    const Difference exact = run(Activation::topk, auxiliary, Dtype::f64);
    EXPECT_LT(exact.loss, 1e-10);
    EXPECT_LT(exact.weights, 1e-9);
    const Difference topk = run(Activation::topk, auxiliary, Dtype::f32);
    EXPECT_LT(topk.loss, 1e-4);
    EXPECT_LT(topk.weights, 1e-3);
    if (auxiliary) {
      EXPECT_GT(topk.steps_with_dead, 50) << "the auxiliary loss was hardly ever active";
    } else {
      EXPECT_EQ(topk.steps_with_dead, 0);
    }
  }
  const Difference relu = run(Activation::relu, false, Dtype::f32);
  EXPECT_LT(relu.loss, 1e-4);
  EXPECT_LT(relu.weights, 1e-3);
  EXPECT_GT(relu.steps_compressed, 20) << "relu's latents were hardly ever few";
}

TEST_F(TrainerTest, SameBitsWithAnyNumberOfThreads) {
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const auto run = [&](int count) {
      const int before = threads();
      set_threads(count);
      Trainer trainer = make(activation, Dtype::f32);
      for (int64_t step = 0; step < 15; ++step) trainer.step(batch_of(step, Dtype::f32));
      EXPECT_GT(trainer.dead_latents(), 0) << "the auxiliary loss was never active";
      set_threads(before);
      std::vector<std::vector<double>> all;
      for (const auto& [name, tensor] : trainer.state().tensors) {
        if (tensor.dtype() == Dtype::f32) all.push_back(testing::to_double(tensor));
      }
      return all;
    };
    EXPECT_EQ(run(1), run(2)) << name_of(activation);
  }
}

TEST_F(TrainerTest, AuxiliaryLossReachesDeadEncoderRowsAndNoLiveOnes) {
  Autoencoder autoencoder =
      Autoencoder::initialise(model(Activation::topk), testing::random_tensor(device_, {width}, Dtype::f64, 8), 3);
  const std::vector<int32_t> dead = {1, 5, 7, 20, 33, 38, 39};
  Tape tape;
  const TrainingLoss loss = training_loss(Weights::watched(tape, autoencoder), autoencoder.options(),
                                          batch_of(0, Dtype::f64), 3.7, i32({7}, dead));
  ASSERT_EQ(loss.terms.size(), 2u);
  tape.backward(std::span(loss.terms).subspan(1));  // the auxiliary term alone
  for (Parameter* parameter : {&autoencoder.encoder(), &autoencoder.decoder()}) {
    const Tensor gradient =
        materialize(parameter->gradient, device_, parameter->value().shape(), parameter->value().dtype());
    int64_t dead_rows = 0;
    for (int32_t row = 0; row < latents; ++row) {
      double squares = 0;
      for (int64_t i = 0; i < width; ++i) squares += std::pow(gradient.data<double>()[row * width + i], 2);
      if (std::find(dead.begin(), dead.end(), row) == dead.end()) {
        EXPECT_EQ(squares, 0) << parameter->name() << " row " << row << " is live";
      } else {
        dead_rows += squares > 0;
      }
    }
    EXPECT_GE(dead_rows, 5) << parameter->name();
  }
}

TEST_F(TrainerTest, DecoderRowsStayUnitLength) {
  Trainer trainer = make(Activation::relu, Dtype::f32);
  for (int64_t step = 0; step < 20; ++step) trainer.step(batch_of(step, Dtype::f32));
  for (const auto& row : matrix(trainer.autoencoder().decoder().value())) {
    EXPECT_NEAR(std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0)), 1.0, 1e-6);
  }
}

TEST_F(TrainerTest, RestoredRunHasTheSameBits) {
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    Trainer whole = make(activation, Dtype::f32), first = make(activation, Dtype::f32);
    for (int64_t step = 0; step < 9; ++step) {
      whole.step(batch_of(step, Dtype::f32));
      first.step(batch_of(step, Dtype::f32));
    }
    Trainer second = make(activation, Dtype::f32);
    second.restore(first.state());
    for (int64_t step = 9; step < 20; ++step) {
      whole.step(batch_of(step, Dtype::f32));
      second.step(batch_of(step, Dtype::f32));
    }
    const auto expected = whole.state().tensors, got = second.state().tensors;
    ASSERT_EQ(expected.size(), got.size());
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].first, expected[i].first);
      const auto bytes = static_cast<size_t>(expected[i].second.bytes());
      EXPECT_EQ(std::memcmp(got[i].second.raw(), expected[i].second.raw(), bytes), 0) << got[i].first;
    }
    EXPECT_EQ(second.averaged()->decoder().value().to_vector<float>(),
              whole.averaged()->decoder().value().to_vector<float>());
  }
}

double largest_change(const std::vector<double>& from, const std::vector<double>& to) {
  double most = 0;
  for (size_t i = 0; i < from.size(); ++i) most = std::max(most, std::abs(to[i] - from[i]));
  return most;
}

TEST_F(TrainerTest, SchedulesAndClipping) {
  // A step's update is about the learning rate in size, so warm-up and decay show in the first and the last step.
  TrainingOptions options = training();
  options.averaging = false;
  options.lr_warmup = 0.2;  // 10 steps
  options.lr_decay = 0.2;
  Trainer trainer = make(Activation::topk, Dtype::f64, options);
  const auto moved = [&](int64_t step) {
    const auto before = trainer.autoencoder().pre_bias().value().to_vector<double>();
    trainer.step(batch_of(step, Dtype::f64));
    return largest_change(before, trainer.autoencoder().pre_bias().value().to_vector<double>());
  };
  EXPECT_NEAR(moved(0), options.learning_rate / 10, options.learning_rate / 100);
  for (int64_t step = 1; step < steps - 1; ++step) trainer.step(batch_of(step, Dtype::f64));
  EXPECT_LT(moved(steps - 1), options.learning_rate / 5);

  options.lr_warmup = 0;
  options.bias_rate = 0.5;
  Trainer slow_biases = make(Activation::topk, Dtype::f64, options);
  const auto bias_before = slow_biases.autoencoder().pre_bias().value().to_vector<double>();
  const auto rows_before = slow_biases.autoencoder().encoder().value().to_vector<double>();
  slow_biases.step(batch_of(0, Dtype::f64));
  const double bias_step =
      largest_change(bias_before, slow_biases.autoencoder().pre_bias().value().to_vector<double>());
  const double row_step = largest_change(rows_before, slow_biases.autoencoder().encoder().value().to_vector<double>());
  EXPECT_NEAR(bias_step, 0.5 * options.learning_rate, 0.01 * options.learning_rate);
  EXPECT_NEAR(row_step, options.learning_rate, 0.01 * options.learning_rate);
  options.bias_rate = 1;

  options.clip_norm = 1e-12;  // clipped to almost nothing: Adam's epsilon then holds the step back
  Trainer clipped = make(Activation::topk, Dtype::f64, options);
  const auto before = clipped.autoencoder().encoder_bias().value().to_vector<double>();
  clipped.step(batch_of(0, Dtype::f64));
  const auto after = clipped.autoencoder().encoder_bias().value().to_vector<double>();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_LT(std::abs(after[i] - before[i]), options.learning_rate / 100);
}

TEST_F(TrainerTest, Refusals) {
  EXPECT_REFUSED(make(Activation::topk, Dtype::f32,
                      [] {
                        auto o = training();
                        o.bias_rate = 0;
                        return o;
                      }()),
                 "rate of the biases");
  EXPECT_REFUSED(make(Activation::topk, Dtype::f32,
                      [] {
                        auto o = training();
                        o.learning_rate = -1;
                        return o;
                      }()),
                 "learning rate");
  EXPECT_REFUSED(make(Activation::topk, Dtype::f32,
                      [] {
                        auto o = training();
                        o.steps = 0;
                        return o;
                      }()),
                 "steps");
  EXPECT_REFUSED(make(Activation::topk, Dtype::f32,
                      [] {
                        auto o = training();
                        o.lr_warmup = 1.5;
                        return o;
                      }()),
                 "lr-warmup");
  AutoencoderOptions options = model(Activation::topk);
  options.k = latents + 1;
  EXPECT_REFUSED(check(options), "k = 41");
  options = model(Activation::relu);
  options.penalty = -0.1;
  EXPECT_REFUSED(check(options), "penalty is -0.1");
  Trainer trainer = make(Activation::topk, Dtype::f32);
  EXPECT_REFUSED(trainer.step(f32({1, 3}, {1, 2, 3})), "width");
  Trainer::State state = trainer.state();
  state.tensors.erase(state.tensors.begin());
  EXPECT_REFUSED(trainer.restore(state), "restore: the checkpoint has no tensor 'encoder'");
}

}  // namespace
}  // namespace sae
