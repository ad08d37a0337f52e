// What the recipe is without one of its parts: how encoders start, the encoder's bias, the decoder's norm.
#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/row_kernels.h"
#include "models/autoencoder/trainer.h"
#include "ops/input_normalisation/input_normalisation.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

constexpr int64_t width = 8, latents = 24, rows = 48;

class Ablations : public testing::CpuTest {
 protected:
  Tensor batch(uint64_t step) {
    return normalise(testing::random_tensor(device_, {rows, width}, Dtype::f32, 100 + step),
                     InputNormalisation::centred_unit_norm)
        .rows;
  }
  Autoencoder make(const EncoderStart& start = {}) {
    return Autoencoder::initialise({.width = width, .latents = latents, .k = 3, .k_aux = 4},
                                   Tensor::zeros(device_, {width}, Dtype::f32), 3, start);
  }
  static TrainingOptions training(bool fused) {
    return {.learning_rate = 3e-3,
            .batch_size = rows,
            .steps = 400,
            .dead_after = 5 * rows,
            .mse_scale = 8,
            .fused = fused};
  }
  static std::vector<double> lengths(const Tensor& matrix) {
    std::vector<double> all;
    for (int64_t row = 0; row < matrix.rows(); ++row) {
      const float* values = matrix.data<float>() + row * matrix.cols();
      all.push_back(std::sqrt(static_cast<double>(dot(values, values, matrix.cols()))));
    }
    return all;
  }
};

TEST_F(Ablations, AnEncoderMayStartInDirectionsOfItsOwn) {
  const Autoencoder tied = make(), random = make({.tied = false, .length = {}});
  EXPECT_EQ(tied.decoder().value().to_vector<float>(), random.decoder().value().to_vector<float>());
  const std::vector<double> expected = lengths(tied.encoder().value()), actual = lengths(random.encoder().value());
  double largest = 0, sum = 0;
  for (int64_t row = 0; row < latents; ++row) {
    const auto at = static_cast<size_t>(row);
    EXPECT_NEAR(actual[at], expected[at], 1e-6 * expected[at]);
    const auto cosine = [&](const Autoencoder& a) {
      const float *e = a.encoder().value().data<float>() + row * width,
                  *d = a.decoder().value().data<float>() + row * width;
      return static_cast<double>(dot(e, d, width)) / expected[at];
    };
    EXPECT_NEAR(cosine(tied), 1, 1e-6);
    largest = std::max(largest, std::abs(cosine(random)));
    sum += cosine(random) / static_cast<double>(latents);
  }
  EXPECT_LT(largest, 0.99);
  EXPECT_LT(std::abs(sum), 0.3);
}

TEST_F(Ablations, AnEncoderMayStartAtAnotherLength) {
  const Autoencoder usual = make(), half = make({.tied = true, .length = 0.5});
  EXPECT_EQ(usual.decoder().value().to_vector<float>(), half.decoder().value().to_vector<float>());
  for (const double length : lengths(half.encoder().value())) EXPECT_NEAR(length, 0.5, 1e-6);
  EXPECT_GT(std::abs(lengths(usual.encoder().value())[0] - 0.5), 0.01);
  EXPECT_REFUSED(make({.tied = true, .length = 0.0}), "encoder rows of length 0 at the start");
}

TEST_F(Ablations, AFrozenEncoderBiasStaysAtZero) {
  for (const bool fused : {true, false}) {
    TrainingOptions how = training(fused);
    how.freeze_encoder_bias = true;
    Trainer trainer(make(), how);
    const auto encoder = trainer.autoencoder().encoder().value().to_vector<float>();
    for (uint64_t step = 0; step < 5; ++step) trainer.step(batch(step));
    const std::optional<Autoencoder> averaged = trainer.averaged();
    for (const Autoencoder* one : {&trainer.autoencoder(), &*averaged}) {
      for (const float value : one->encoder_bias().value().to_vector<float>()) EXPECT_EQ(value, 0);
    }
    EXPECT_NE(trainer.autoencoder().encoder().value().to_vector<float>(), encoder);
  }
}

TEST_F(Ablations, DecoderRowsMayHaveAnyLength) {
  for (const bool fused : {true, false}) {
    TrainingOptions how = training(fused);
    how.free_decoder_norm = true;
    Trainer trainer(make(), how);
    for (uint64_t step = 0; step < 20; ++step) trainer.step(batch(step));
    const std::optional<Autoencoder> averaged = trainer.averaged();
    for (const Autoencoder* one : {&trainer.autoencoder(), &*averaged}) {
      double farthest = 0;
      for (const double length : lengths(one->decoder().value())) farthest = std::max(farthest, std::abs(length - 1));
      EXPECT_GT(farthest, 0.01);
    }
  }
}

}  // namespace
}  // namespace sae
