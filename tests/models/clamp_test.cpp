#include "models/autoencoder/clamp.h"

#include "ops/input_normalisation/input_normalisation.h"
#include "tests/models/initialised_autoencoder.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

class Clamp : public testing::DeviceTest {
 protected:
  Autoencoder make(Activation activation) {
    return testing::initialised_autoencoder(device_, {.width = 12, .latents = 20, .activation = activation, .k = 4}, 1);
  }
  /// Latents [rows, 20] as a dense matrix.
  static std::vector<double> dense(const Value& computed) {
    const auto host = Device::open(DeviceKind::cpu);
    const Value latents = to_device(computed, *host);
    const SparseRows pattern = sparse_rows("test", latents);
    std::vector<double> values(static_cast<size_t>(pattern.rows * 20), 0.0);
    for (int64_t row = 0; row < pattern.rows; ++row) {
      for (int64_t i = pattern.begin(row); i < pattern.end(row); ++i) {
        values[static_cast<size_t>(row * 20 + pattern.index[i])] = stored_values(latents).data<float>()[i];
      }
    }
    return values;
  }
};
INSTANTIATE_TEST_SUITE_P(Devices, Clamp, testing::every_device, testing::device_name);

TEST_P(Clamp, AddsTheDifferenceOfTheTwoReconstructions) {
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const Autoencoder autoencoder = make(activation);
    const Tensor x = testing::random_tensor(device_, {5, 12}, Dtype::f32, 7);
    const NormalisedRows normalised = normalise(x, InputNormalisation::centred_unit_norm);
    const std::vector<double> before = dense(encode(autoencoder, normalised.rows));
    const Tensor steered = clamp_latents(autoencoder, {{3, 0.75f}, {11, 0.0f}}, x);
    const auto before_it = x.to_vector<float>(), after = steered.to_vector<float>();
    const auto norms = normalised.norm.to_vector<float>(), decoder = autoencoder.decoder().value().to_vector<float>();
    for (size_t row = 0; row < 5; ++row) {
      for (size_t i = 0; i < 12; ++i) {
        double expected = static_cast<double>(before_it[row * 12 + i]);
        for (const auto& [latent, value] : {std::pair<size_t, double>{3, 0.75}, {11, 0}}) {
          expected += static_cast<double>(norms[row]) * (value - before[row * 20 + latent]) *
                      static_cast<double>(decoder[latent * 12 + i]);
        }
        EXPECT_NEAR(after[row * 12 + i], expected, 1e-6);
      }
    }
    EXPECT_NE(steered.to_vector<float>(), x.to_vector<float>());
  }
}

TEST_P(Clamp, NothingToClampChangesNoBit) {
  const Autoencoder autoencoder = make(Activation::topk);
  const Tensor x = testing::random_tensor(device_, {5, 12}, Dtype::f32, 7);
  EXPECT_EQ(clamp_latents(autoencoder, {}, x).to_vector<float>(), x.to_vector<float>());
  // a latent that is at the value already
  const std::vector<double> latents =
      dense(encode(autoencoder, normalise(x, InputNormalisation::centred_unit_norm).rows));
  const auto silent = static_cast<size_t>(std::find(latents.begin(), latents.begin() + 20, 0.0) - latents.begin());
  const Tensor first = x.slice_rows(0, 1);
  EXPECT_EQ(clamp_latents(autoencoder, {{static_cast<int64_t>(silent), 0.0f}}, first).to_vector<float>(),
            first.to_vector<float>());
}

TEST_P(Clamp, Parsing) {
  const AutoencoderOptions options = {.width = 4, .latents = 100};
  EXPECT_TRUE(parse_clamps("", options).empty());
  const auto clamps = parse_clamps("12=0.5,0=-2", options);
  ASSERT_EQ(clamps.size(), 2u);
  EXPECT_EQ(clamps[0].latent, 12);
  EXPECT_EQ(clamps[0].value, 0.5f);
  EXPECT_EQ(clamps[1].value, -2.0f);
  for (const char* bad : {"12", "=1", "12=", "a=1", "12=b", "12=inf", "12=1,,13=1", "12 =1"}) {
    EXPECT_REFUSED(parse_clamps(bad, options), "expected LATENT=VALUE");
  }
  EXPECT_REFUSED(parse_clamps("100=1", options), "clamp '100=1': the autoencoder has latents 0 to 99");
  EXPECT_REFUSED(parse_clamps("-1=1", options), "latents 0 to 99");
  EXPECT_REFUSED(parse_clamps("3=1,3=2", options), "latent 3 is clamped already");
  EXPECT_REFUSED(
      clamp_latents(make(Activation::topk), {{1, 1.0f}}, testing::random_tensor(device_, {1, 5}, Dtype::f32, 7)),
      "rows of width 5, this autoencoder reads width 12");
}

}  // namespace
}  // namespace sae
