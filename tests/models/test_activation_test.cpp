#include "models/autoencoder/test_activation.h"

#include <algorithm>
#include <functional>

#include "tests/models/initialised_autoencoder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

class TestActivation : public testing::CpuTest {
 protected:
  static constexpr int64_t width = 12, latents = 40, rows = 50;

  Autoencoder make(Activation activation, int64_t k = 5) {
    AutoencoderOptions options{.width = width, .latents = latents, .activation = activation, .k = k};
    if (activation == Activation::jump_relu) options.bandwidth = 0.01;
    Autoencoder made = testing::initialised_autoencoder(device_, options, 3);
    made.encoder_bias().assign(testing::random_tensor(device_, {latents}, Dtype::f32, 4));
    return made;
  }
  Tensor x() { return testing::random_tensor(device_, {rows, width}, Dtype::f32, 7); }
};

TEST_F(TestActivation, TopkOfATopkAutoencoderAtItsOwnKIsItself) {
  for (const Activation trained : {Activation::topk, Activation::multi_topk}) {
    const Autoencoder autoencoder = make(trained);
    EXPECT_EQ(testing::dense_values(encode(with_topk(autoencoder, 5), x(), {.fused = false})),
              testing::dense_values(encode(autoencoder, x(), {.fused = false})));
  }
}

TEST_F(TestActivation, TopkKeepsTheLargestPositivePreActivationsOfEachRow) {
  const Autoencoder relu = make(Activation::relu);
  const std::vector<double> all = testing::dense_values(encode(relu, x()));
  for (const int64_t k : {int64_t{1}, int64_t{7}, latents}) {
    const std::vector<double> kept = testing::dense_values(encode(with_topk(relu, k), x(), {.fused = false}));
    for (size_t row = 0; row < rows; ++row) {
      std::vector<double> of_row(all.begin() + static_cast<std::ptrdiff_t>(row * latents),
                                 all.begin() + static_cast<std::ptrdiff_t>((row + 1) * latents));
      std::sort(of_row.begin(), of_row.end(), std::greater<>());
      const double least = of_row[static_cast<size_t>(k) - 1];
      for (size_t i = row * latents; i < (row + 1) * latents; ++i) EXPECT_EQ(kept[i], all[i] >= least ? all[i] : 0.0);
    }
  }
}

TEST_F(TestActivation, OneThresholdForAllLatents) {
  for (const Activation trained : {Activation::relu, Activation::jump_relu, Activation::topk, Activation::batch_topk}) {
    const Autoencoder autoencoder = make(trained);
    const std::vector<double> all =
        testing::dense_values(encode(with_topk(autoencoder, latents), x(), {.fused = false}));
    const std::vector<double> kept = testing::dense_values(encode(with_threshold(autoencoder, 0.5), x()));
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(kept[i], all[i] > 0.5 ? all[i] : 0.0);
  }
}

TEST_F(TestActivation, ThresholdsGiveTheNumbersOfActiveLatents) {
  const Autoencoder autoencoder = make(Activation::topk);
  const std::vector<int64_t> l0 = {9, 1, 4};
  const auto thresholds = thresholds_for(autoencoder, x(), l0);
  for (size_t i = 0; i < l0.size(); ++i) {
    ASSERT_TRUE(thresholds[i].has_value());
    const std::vector<double> z = testing::dense_values(encode(with_threshold(autoencoder, *thresholds[i]), x()));
    EXPECT_EQ(std::count_if(z.begin(), z.end(), [](double value) { return value > 0; }), rows * l0[i]);
  }
}

TEST_F(TestActivation, ThresholdsOfManyRowsAreThoseOfAllAtOnce) {
  // More rows than a batch, and so many values that only the largest are kept along the way.
  const Tensor many = testing::random_tensor(device_, {2500, width}, Dtype::f32, 9);
  const Autoencoder autoencoder = make(Activation::relu);
  std::vector<double> values = testing::dense_values(encode(autoencoder, many));
  std::sort(values.begin(), values.end(), std::greater<>());
  const std::vector<int64_t> l0 = {1, 3};
  const auto thresholds = thresholds_for(autoencoder, many, l0);
  for (size_t i = 0; i < l0.size(); ++i) {
    const auto first_out = static_cast<size_t>(2500 * l0[i]);
    EXPECT_EQ(thresholds[i], (values[first_out - 1] + values[first_out]) / 2);
  }
}

TEST_F(TestActivation, NoThresholdActivatesWhatIsNotAboveZero) {
  const std::vector<int64_t> l0 = {latents};
  EXPECT_EQ(thresholds_for(make(Activation::relu), x(), l0)[0], std::nullopt);
}

TEST_F(TestActivation, RefusesWhatHasNoSuchPreActivations) {
  for (const Activation trained : {Activation::prolu, Activation::prolu_ste, Activation::gated, Activation::sigmoid}) {
    EXPECT_REFUSED(with_topk(make(trained), 3), "uses its biases in its own way");
    EXPECT_REFUSED(with_threshold(make(trained), 1), "uses its biases in its own way");
  }
  EXPECT_REFUSED(with_topk(make(Activation::relu), latents + 1), "expected 1 <= k <= latents = 40, got k = 41");
  EXPECT_REFUSED(with_threshold(make(Activation::relu), 0), "expected a threshold above 0, got 0");
  EXPECT_REFUSED(thresholds_for(make(Activation::relu), x(), {}), "expected rows");
}

}  // namespace
}  // namespace sae
