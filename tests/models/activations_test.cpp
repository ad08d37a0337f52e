// Every activation as a whole: its loss against differences, its training, its file, what is special about it.
#include <cstring>
#include <numeric>

#include "models/autoencoder/autoencoder_file.h"
#include "models/autoencoder/metrics.h"
#include "models/autoencoder/trainer.h"
#include "ops/input_normalisation/input_normalisation.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

constexpr int64_t width = 8, latents = 24, rows = 48;

class Activations : public testing::CpuTest {
 protected:
  /// Rows with a few of twelve hidden directions each, normalised.
  Tensor batch_of(uint64_t step, Dtype dtype, int64_t count = rows) {
    const std::vector<double> hidden = testing::to_double(testing::random_tensor(device_, {12, width}, Dtype::f64, 5));
    const Philox random(6, step);
    std::vector<double> x(static_cast<size_t>(count * width), 0.0);
    for (int64_t row = 0; row < count; ++row) {
      for (int64_t f = 0; f < 12; ++f) {
        const auto draw = static_cast<uint64_t>(row * 12 + f);
        if (random.uniform(draw) > 0.2f) continue;
        const double strength = 1 + std::abs(random.normal(100000 + draw));
        for (int64_t i = 0; i < width; ++i) {
          x[static_cast<size_t>(row * width + i)] += strength * hidden[static_cast<size_t>(f * width + i)];
        }
      }
      x[static_cast<size_t>(row * width + row % width)] += 0.1;  // no row of zeros
    }
    return normalise(f64({count, width}, x), InputNormalisation::centred_unit_norm).rows.to(dtype);
  }
  static AutoencoderOptions model(Activation activation) {
    AutoencoderOptions options{.width = width, .latents = latents, .activation = activation, .k = 3};
    if (facts_of(activation).chooses_k) options.k_aux = 4;
    if (!facts_of(activation).chooses_k) options.penalty = activation == Activation::jump_relu ? 0.01 : 0.1;
    options.bandwidth = 0.05;
    options.weight_decay = 1e-4;
    return options;
  }
  Autoencoder make(const AutoencoderOptions& options, Dtype dtype) {
    std::vector<double> centre = testing::to_double(testing::random_tensor(device_, {width}, Dtype::f64, 8));
    for (double& value : centre) value *= 0.05;
    return Autoencoder::initialise(options, f64({width}, centre).to(dtype), 3);
  }
  static TrainingOptions training() {
    return {.learning_rate = 3e-3, .batch_size = rows, .steps = 400, .dead_after = 5 * rows, .mse_scale = 8};
  }
  Tensor no_dead() { return Tensor::zeros(device_, {0}, Dtype::i32); }
  double l0_of(const Autoencoder& autoencoder, const Tensor& x) {
    MetricsSum sum(Tensor::zeros(device_, {width}, x.dtype()), autoencoder.options().latents);
    add_batch(sum, autoencoder, x);
    return sum.result().l0;
  }
};

/// What of an activation's parameters has a true derivative: pseudo-gradients and detached paths are tested with their
/// ops, and below.
bool has_derivative(Activation activation, const std::string& name) {
  switch (activation) {
    case Activation::prolu:
      return name != "encoder_bias";
    case Activation::prolu_ste:
      return name == "decoder";
    case Activation::gated:  // the gates' reconstruction trains neither the decoder nor b_pre
      return name != "decoder" && name != "pre_bias";
    case Activation::jump_relu:
      return name != "log_threshold";
    case Activation::batch_topk:
    case Activation::matryoshka:
      return name != "threshold";
    case Activation::relu:
    case Activation::topk:
    case Activation::multi_topk:
    case Activation::sigmoid:
      return true;
  }
  return false;
}

TEST_F(Activations, LossGradientAgainstDifferences) {
  const Tensor x = batch_of(1, Dtype::f64, 7);
  for (const Activation activation : all_activations()) {
    for (const LatentLayout layout : {LatentLayout::dense, LatentLayout::compressed}) {
      Autoencoder autoencoder = make(model(activation), Dtype::f64);
      const PassOptions how{.layout = layout};
      const auto loss_on = [&](Tape& tape) {
        return training_loss(Weights::watched(tape, autoencoder), autoencoder.options(), x, 8, no_dead(), how);
      };
      const auto total = [&] {
        Tape tape;
        double sum = 0;
        for (const WeightedLoss& term : loss_on(tape).terms) {
          sum += term.weight * std::get<Tensor>(term.loss.value).data<double>()[0];
        }
        return sum;
      };
      Tape tape;
      const TrainingLoss loss = loss_on(tape);
      tape.backward(loss.terms);
      EXPECT_EQ(tape.report().densified, 0) << name_of(activation);
      for (Parameter* parameter : autoencoder.parameters()) {
        if (!has_derivative(activation, parameter->name())) continue;
        const Tensor& value = parameter->value();
        const auto got = testing::to_double(materialize(parameter->gradient, device_, value.shape(), Dtype::f64));
        std::vector<double> expected;
        for (size_t i = 0; i < got.size(); ++i) {
          const double centre = value.data<double>()[i];
          const auto at = [&](double moved) {
            parameter->update<double>([&](double* elements) { elements[i] = moved; });
            return total();
          };
          const double up = at(centre + 1e-6), down = at(centre - 1e-6);
          at(centre);
          expected.push_back((up - down) / 2e-6);
        }
        EXPECT_LT(testing::worst_difference(got, expected, 0.01), 1e-6)
            << name_of(activation) << " " << parameter->name();
      }
    }
  }
}

TEST_F(Activations, EachLearnsAndKeepsItsDecoder) {
  for (const Activation activation : all_activations()) {
    Trainer trainer(make(model(activation), Dtype::f32), training());
    double first = 0, last = 0;
    for (uint64_t step = 0; step < 150; ++step) {
      const double mse = trainer.step(batch_of(step, Dtype::f32)).normalised_mse;
      if (step < 10) first += mse / 10;
      if (step >= 140) last += mse / 10;
    }
    EXPECT_LT(last, 0.8 * first) << name_of(activation);
    if (!facts_of(activation).unit_decoder) continue;
    const Tensor decoder = trainer.averaged()->decoder().value().to(Dtype::f64);
    for (int64_t row = 0; row < latents; ++row) {
      const double* values = decoder.data<double>() + row * width;
      EXPECT_NEAR(std::inner_product(values, values + width, values, 0.0), 1, 1e-5) << name_of(activation);
    }
  }
}

TEST_F(Activations, RestoredRunHasTheSameBits) {
  for (const Activation activation : all_activations()) {
    Trainer whole(make(model(activation), Dtype::f32), training()),
        part(make(model(activation), Dtype::f32), training());
    for (uint64_t step = 0; step < 5; ++step) {
      whole.step(batch_of(step, Dtype::f32));
      part.step(batch_of(step, Dtype::f32));
    }
    Trainer second(make(model(activation), Dtype::f32), training());
    second.restore(part.state());
    for (uint64_t step = 5; step < 10; ++step) {
      whole.step(batch_of(step, Dtype::f32));
      second.step(batch_of(step, Dtype::f32));
    }
    const auto expected = whole.state().tensors, got = second.state().tensors;
    ASSERT_EQ(expected.size(), got.size());
    for (size_t i = 0; i < got.size(); ++i) {
      const auto bytes = static_cast<size_t>(expected[i].second.bytes());
      EXPECT_EQ(std::memcmp(got[i].second.raw(), expected[i].second.raw(), bytes), 0)
          << name_of(activation) << " " << got[i].first;
    }
  }
}

TEST_F(Activations, FileHoldsAllOfIt) {
  const TemporaryFolder folder;
  const Tensor x = batch_of(3, Dtype::f32);
  for (const Activation activation :
       {Activation::prolu, Activation::gated, Activation::jump_relu, Activation::matryoshka, Activation::sigmoid}) {
    Trainer trainer(make(model(activation), Dtype::f32), training());
    for (uint64_t step = 0; step < 20; ++step) trainer.step(batch_of(step, Dtype::f32));
    const std::vector<Tensor> sample = {batch_of(50, Dtype::f32), batch_of(51, Dtype::f32)};
    trainer.measure_threshold(sample);
    const std::string path = folder.path(std::string(name_of(activation)));
    save_autoencoder(path, trainer.autoencoder(), {}, IfExists::refuse);
    const LoadedAutoencoder loaded = load_autoencoder(path, device_);
    EXPECT_EQ(loaded.autoencoder.options().activation, activation);
    EXPECT_EQ(loaded.autoencoder.options().penalty, trainer.autoencoder().options().penalty);
    EXPECT_EQ(testing::dense_values(encode(loaded.autoencoder, x)),
              testing::dense_values(encode(trainer.autoencoder(), x)))
        << name_of(activation);
  }
}

TEST_F(Activations, BatchTopkNeedsItsThresholdAndReachesK) {
  for (const Activation activation : {Activation::batch_topk, Activation::matryoshka}) {
    Trainer trainer(make(model(activation), Dtype::f32), training());
    for (uint64_t step = 0; step < 200; ++step) trainer.step(batch_of(step, Dtype::f32));
    EXPECT_REFUSED(encode(trainer.autoencoder(), batch_of(1, Dtype::f32)), "was never measured");
    std::vector<Tensor> sample;
    for (uint64_t i = 0; i < 8; ++i) sample.push_back(batch_of(500 + i, Dtype::f32));
    trainer.measure_threshold(sample);
    EXPECT_NEAR(l0_of(trainer.autoencoder(), batch_of(900, Dtype::f32, 2000)), 3, 0.3);
    // A row's latents depend on that row alone.
    const Tensor x = batch_of(901, Dtype::f32);
    const auto all = testing::dense_values(encode(trainer.autoencoder(), x));
    const auto one = testing::dense_values(encode(trainer.autoencoder(), x.slice_rows(7, 8)));
    EXPECT_EQ(one, std::vector<double>(all.begin() + 7 * latents, all.begin() + 8 * latents));
  }
}

// A known trap: a kernel too narrow for the batch leaves the thresholds, and L0, as they are whatever the coefficient.
TEST_F(Activations, JumpReluRespondsToItsCoefficient) {
  std::vector<double> l0, threshold;
  for (const double penalty : {0.0003, 0.003, 0.03}) {
    AutoencoderOptions options = model(Activation::jump_relu);
    options.penalty = penalty;
    Trainer trainer(make(options, Dtype::f32), training());
    for (uint64_t step = 0; step < 250; ++step) trainer.step(batch_of(step, Dtype::f32));
    l0.push_back(l0_of(trainer.autoencoder(), batch_of(900, Dtype::f32, 500)));
    const auto logs = testing::to_double(trainer.autoencoder().extra("log_threshold").value());
    threshold.push_back(std::accumulate(logs.begin(), logs.end(), 0.0) / latents);
  }
  EXPECT_LT(l0[1], 0.8 * l0[0]);
  EXPECT_LT(l0[2], 0.8 * l0[1]);
  EXPECT_GT(threshold[1], threshold[0]);
}

TEST_F(Activations, ResampledLatentsTakeRowsAndStartAnew) {
  for (const Activation activation : {Activation::relu, Activation::gated}) {
    AutoencoderOptions options = model(activation);
    Autoencoder autoencoder = make(options, Dtype::f64);
    autoencoder.encoder_bias().update<double>([](double* bias) { bias[2] = bias[9] = -100; });  // never fire
    TrainingOptions how = training();
    how.dead_after = 3 * rows;
    Trainer trainer(std::move(autoencoder), how);
    for (uint64_t step = 0; step < 4; ++step) trainer.step(batch_of(step, Dtype::f64));
    const int64_t dead = trainer.dead_latents();
    ASSERT_GE(dead, 2);
    const std::vector<Tensor> sample = {batch_of(20, Dtype::f64), batch_of(21, Dtype::f64)};
    EXPECT_EQ(trainer.resample_dead(sample), dead);
    EXPECT_EQ(trainer.dead_latents(), 0);
    EXPECT_EQ(trainer.resample_dead(sample), 0);

    const Autoencoder& after = trainer.autoencoder();
    const std::vector<double> decoder = testing::to_double(after.decoder().value());
    const std::vector<double> encoder = testing::to_double(after.encoder().value());
    const std::vector<double> centre = testing::to_double(after.pre_bias().value());
    double best = 0;  // the cosine of latent 9 with the nearest centred row of the sample
    for (const Tensor& batch : sample) {
      for (int64_t row = 0; row < rows; ++row) {
        double along = 0, squares = 0;
        for (size_t i = 0; i < width; ++i) {
          const double value = batch.data<double>()[row * width + static_cast<int64_t>(i)] - centre[i];
          along += value * decoder[9 * width + i];
          squares += value * value;
        }
        best = std::max(best, along / std::sqrt(squares));
      }
    }
    EXPECT_NEAR(best, 1, 1e-12);
    for (size_t i = 1; i < width; ++i) {
      EXPECT_NEAR(encoder[9 * width + i] * decoder[9 * width], encoder[9 * width] * decoder[9 * width + i], 1e-12);
    }
    EXPECT_EQ(after.encoder_bias().value().data<double>()[9], 0);
    for (const auto& [name, tensor] : trainer.state().tensors) {
      if (name == "decoder.first_moment" || name == "encoder.second_moment") {
        for (int64_t i = 0; i < width; ++i) EXPECT_EQ(tensor.data<double>()[9 * width + i], 0) << name;
      }
    }
    trainer.step(batch_of(30, Dtype::f64));  // and training goes on
  }
}

TEST_F(Activations, FrozenDecoderStays) {
  TrainingOptions how = training();
  how.freeze_decoder = true;
  Trainer trainer(make(model(Activation::topk), Dtype::f32), how);
  const auto before = trainer.autoencoder().decoder().value().to_vector<float>();
  const auto encoder = trainer.autoencoder().encoder().value().to_vector<float>();
  for (uint64_t step = 0; step < 5; ++step) trainer.step(batch_of(step, Dtype::f32));
  EXPECT_EQ(trainer.autoencoder().decoder().value().to_vector<float>(), before);
  EXPECT_NE(trainer.autoencoder().encoder().value().to_vector<float>(), encoder);
}

TEST_F(Activations, NamesAndRefusals) {
  for (const Activation activation : all_activations()) EXPECT_EQ(parse_activation(name_of(activation)), activation);
  EXPECT_REFUSED(parse_activation("tanh"), "expected relu|prolu|");
  AutoencoderOptions options = model(Activation::jump_relu);
  options.bandwidth = 0;
  EXPECT_REFUSED(check(options), "bandwidth of jumprelu is 0");
  options = model(Activation::sigmoid);
  options.target_rate = 1;
  EXPECT_REFUSED(check(options), "target rate of sigmoid is 1");
  const Tensor matrix = Tensor::zeros(device_, {latents, width}, Dtype::f32);
  const Tensor row = Tensor::zeros(device_, {latents}, Dtype::f32),
               centre = Tensor::zeros(device_, {width}, Dtype::f32);
  EXPECT_REFUSED(Autoencoder(model(Activation::gated), matrix, row, matrix, centre, {row}),
                 "gated has 2 parameters of its own, got 1");
  EXPECT_REFUSED(Autoencoder(model(Activation::gated), matrix, row, matrix, centre, {row, centre}),
                 "'magnitude_bias' is f32 [8], expected f32 [24]");
  EXPECT_REFUSED(make(model(Activation::relu), Dtype::f32).extra("threshold"), "has no parameter 'threshold'");
  EXPECT_EQ(nested_sizes(64), (std::vector<int64_t>{4, 8, 16, 32, 64}));
  EXPECT_EQ(nested_sizes(3), (std::vector<int64_t>{1, 3}));
}

}  // namespace
}  // namespace sae
