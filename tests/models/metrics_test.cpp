#include "models/autoencoder/metrics.h"

#include "ops/input_normalisation/input_normalisation.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

class MetricsTest : public testing::CpuTest {
 protected:
  Tensor data(int64_t rows, Dtype dtype) {
    return normalise(testing::random_tensor(device_, {rows, 10}, dtype, 4), InputNormalisation::centred_unit_norm).rows;
  }
  Tensor mean_of(const Tensor& x) {
    std::vector<double> mean(static_cast<size_t>(x.cols()), 0.0);
    for (int64_t row = 0; row < x.rows(); ++row) {
      for (int64_t i = 0; i < x.cols(); ++i) {
        mean[static_cast<size_t>(i)] += x.data<double>()[row * x.cols() + i] / static_cast<double>(x.rows());
      }
    }
    return f64({x.cols()}, mean);
  }
  RowSparse no_latents(int64_t rows, Dtype dtype) {
    return {Columns(i32({rows, 1}, std::vector<int32_t>(static_cast<size_t>(rows), 0))),
            Tensor::zeros(device_, {rows, 1}, dtype), 6};
  }
};

TEST_F(MetricsTest, PredictingTheMeanIsExactlyOne) {
  const Tensor x = data(50, Dtype::f64);
  const Tensor mean = mean_of(x);
  Writable predicted = Tensor::empty(device_, x.shape(), Dtype::f64);
  for (int64_t i = 0; i < x.elements(); ++i) predicted.data<double>()[i] = mean.data<double>()[i % 10];
  MetricsSum sum(mean, 6);
  sum.add(x, no_latents(50, Dtype::f64), std::move(predicted).freeze());
  const Metrics metrics = sum.result();
  EXPECT_EQ(metrics.normalised_mse, 1.0);
  EXPECT_NEAR(metrics.explained_variance, 0.0, 1e-12);
  EXPECT_EQ(metrics.l0, 0.0);
  EXPECT_EQ(metrics.dead_fraction, 1.0);
}

TEST_F(MetricsTest, ByHand) {
  // Mean (1, 0). Errors: (1, 0) and (0, 2). Deviations from the mean: (1, 0) and (-1, 4).
  MetricsSum sum(f64({2}, {1, 0}), 3);
  const RowSparse latents{Columns(i32({2, 2}, {0, 2, 1, 2})), f64({2, 2}, {1.5, 0.5, 0, 2}), 3};
  sum.add(f64({2, 2}, {2, 0, 0, 4}), latents, f64({2, 2}, {1, 0, 0, 2}));
  const Metrics metrics = sum.result();
  EXPECT_DOUBLE_EQ(metrics.normalised_mse, 5.0 / 18.0);
  EXPECT_DOUBLE_EQ(metrics.per_row_mse, (1.0 / 4 + 4.0 / 16) / 2);
  EXPECT_DOUBLE_EQ(metrics.l0, 1.5);
  EXPECT_DOUBLE_EQ(metrics.l1, 2.0);
  EXPECT_EQ(metrics.firings, (std::vector<int64_t>{1, 0, 2}));
  EXPECT_DOUBLE_EQ(metrics.dead_fraction, 1.0 / 3);
  // Residuals (1, 0), (0, 2): variance sums 0.5 + 2; x: (2, 0), (0, 4): 2 + 8.
  EXPECT_DOUBLE_EQ(metrics.explained_variance, 1 - 2.5 / 10);
  EXPECT_EQ(metrics.density_histogram(), (std::vector<int64_t>{1, 0, 0, 0, 0, 0, 0, 2}));
}

TEST_F(MetricsTest, NoNumberDependsOnTheBatchSize) {
  const Tensor x = data(97, Dtype::f32);
  const Tensor mean = Tensor::zeros(device_, {10}, Dtype::f32);
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const AutoencoderOptions options{.width = 10, .latents = 64, .activation = activation, .k = 4};
    const Autoencoder autoencoder = Autoencoder::initialise(options, mean, 1);
    std::vector<Metrics> results;
    for (const int64_t batch : {1, 7, 64, 97}) {
      MetricsSum sum(mean, 64);
      for (int64_t row = 0; row < 97; row += batch) {
        add_batch(sum, autoencoder, x.slice_rows(row, std::min<int64_t>(97, row + batch)));
      }
      results.push_back(sum.result());
    }
    for (const Metrics& other : results) {
      EXPECT_EQ(other.normalised_mse, results[0].normalised_mse);
      EXPECT_EQ(other.per_row_mse, results[0].per_row_mse);
      EXPECT_EQ(other.explained_variance, results[0].explained_variance);
      EXPECT_EQ(other.l0, results[0].l0);
      EXPECT_EQ(other.l1, results[0].l1);
      EXPECT_EQ(other.firings, results[0].firings);
    }
    EXPECT_GT(results[0].normalised_mse, 0);
  }
}

TEST_F(MetricsTest, DensityHistogramCountsDecades) {
  Metrics metrics;
  metrics.rows = 10'000'000;
  metrics.firings = {0, 1, 9, 10, 99, 1000, 9'999'999, 10'000'000};
  EXPECT_EQ(metrics.density_histogram(), (std::vector<int64_t>{1, 2, 2, 0, 1, 0, 0, 2}));
}

TEST_F(MetricsTest, Refusals) {
  MetricsSum sum(f64({2}, {1, 0}), 3);
  EXPECT_REFUSED(sum.result(), "metrics: no row");
  EXPECT_REFUSED(sum.add(f64({1, 2}, {1, 2}), no_latents(1, Dtype::f64), f64({1, 2}, {1, 2})), "metrics");
}

}  // namespace
}  // namespace sae
