#include "ops/normalised_mse/normalised_mse.h"

#include <limits>

#include "engine/parallel.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

double number(const Variable& loss) { return to_double(std::get<Tensor>(loss.value)).at(0); }

class NormalisedMse : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, NormalisedMse, every_device, device_name);

TEST_P(NormalisedMse, ValuesByHand) {
  // Differences 1, -2, 0, 3: squares sum to 14, mean 3.5.
  const Tensor p = f32({2, 2}, {2, 0, 5, 10}), t = f32({2, 2}, {1, 2, 5, 7});
  const Variable loss = normalised_mse(p, t, 0.5);
  EXPECT_EQ(std::get<Tensor>(loss.value).shape(), Shape({1}));
  EXPECT_EQ(number(loss), 1.75);
  // Column means of t are 3 and 4.5: squares 4 + 6.25 + 4 + 6.25 = 20.5, mean 5.125.
  EXPECT_EQ(mean_square_about_mean(t), 5.125);
  EXPECT_FLOAT_EQ(static_cast<float>(number(batch_normalised_mse(p, t))), 3.5f / 5.125f);
  // Rows: (1 + 4) / (1 + 4) and 9 / (25 + 49).
  EXPECT_DOUBLE_EQ(per_row_normalised_mse(p, t), (1.0 + 9.0 / 74.0) / 2);
}

TEST_P(NormalisedMse, PredictingTheMeanCostsOne) {
  const Tensor x = random_tensor(device_, {50, 7}, Dtype::f64, 1);
  const std::vector<double> sum = to_double(column_sum(x));
  std::vector<double> prediction;
  for (int row = 0; row < 50; ++row) {
    for (const double s : sum) prediction.push_back(s / 50);
  }
  const Tensor mean = f64({50, 7}, prediction);
  EXPECT_NEAR(number(normalised_mse(mean, x, 1 / mean_square_about_mean(x))), 1, 1e-14);
  EXPECT_NEAR(number(batch_normalised_mse(mean, x)), 1, 1e-14);
}

TEST_P(NormalisedMse, Gradient) {
  Parameter p = random_parameter(device_, "p", {6, 5}, 1);
  const Tensor t = random_tensor(device_, {6, 5}, Dtype::f64, 2);
  EXPECT_LT(gradient_error({&p}, [&](Tape& tape) { return normalised_mse(tape.watch(p), t, 40.0); }),
            gradient_tolerance);
  EXPECT_LT(gradient_error({&p}, [&](Tape& tape) { return batch_normalised_mse(tape.watch(p), t); }),
            gradient_tolerance);
}

TEST_P(NormalisedMse, ATargetWithoutVarianceGivesZeroAndNoGradient) {
  Parameter p = random_parameter(device_, "p", {7, 2}, 1);
  std::vector<double> rows;
  for (int row = 0; row < 7; ++row) rows.insert(rows.end(), {0.1, -0.3});  // their mean is not exactly 0.1
  const Tensor t = f64({7, 2}, rows);
  EXPECT_EQ(mean_square_about_mean(t), 0);
  Tape tape;
  const Variable loss = batch_normalised_mse(tape.watch(p), t);
  EXPECT_EQ(number(loss), 0);
  tape.backward(loss);
  EXPECT_EQ(to_double(materialize(p.gradient, device_, {7, 2}, Dtype::f64)), std::vector<double>(14, 0.0));
  // A small spread on top of a large mean is still a spread.
  EXPECT_NEAR(mean_square_about_mean(f64({2, 1}, {1e6 + 1e-3, 1e6 - 1e-3})), 1e-6, 1e-12);
}

TEST_P(NormalisedMse, NotANumberShows) {
  const Tensor p = f32({1, 2}, {std::numeric_limits<float>::quiet_NaN(), 1});
  EXPECT_TRUE(std::isnan(number(normalised_mse(p, f32({1, 2}, {1, 1}), 1))));
  EXPECT_TRUE(std::isnan(number(batch_normalised_mse(f32({2, 1}, {1, 1}), p.with_shape({2, 1})))));
}

TEST_P(NormalisedMse, FloatAgainstDoubleAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      const Tensor p = random_tensor(device_, {rows, cols}, Dtype::f32, 1), p64 = p.to(Dtype::f64);
      const Tensor t = random_tensor(device_, {rows, cols}, Dtype::f32, 2), t64 = t.to(Dtype::f64);
      for (const bool batch : {false, true}) {
        Parameter a("p", p), b("p", p64);
        Tape tape, tape64;
        const auto loss = [&](Tape& on, Parameter& q, const Tensor& target) {
          return batch ? batch_normalised_mse(on.watch(q), target) : normalised_mse(on.watch(q), target, 3.0);
        };
        const Variable y = loss(tape, a, t), y64 = loss(tape64, b, t64);
        EXPECT_NEAR(number(y), number(y64), 1e-6 * std::abs(number(y64)));
        tape.backward(y);
        tape64.backward(y64);
        EXPECT_LT(worst_difference(materialize(a.gradient, device_, p.shape(), Dtype::f32),
                                   materialize(b.gradient, device_, p.shape(), Dtype::f64)),
                  1e-6);
      }
      EXPECT_EQ(mean_square_about_mean(t), mean_square_about_mean(t64));
      if (rows > 0 && cols > 0) {
        EXPECT_DOUBLE_EQ(per_row_normalised_mse(p, t), per_row_normalised_mse(p64, t64));
      }
    }
  }
}

TEST_P(NormalisedMse, AgreesOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    const auto losses = [&](Device& device, bool batch) {
      Parameter p("p", exact_tensor(device, {rows, cols}, Dtype::f32, 1));
      const Tensor target = exact_tensor(device, {rows, cols}, Dtype::f32, 2);
      Tape tape;
      const Variable loss =
          batch ? batch_normalised_mse(tape.watch(p), target) : normalised_mse(tape.watch(p), target, 3);
      tape.backward(loss);
      return std::vector<Value>{loss.value, materialize(p.gradient, device, {rows, cols}, Dtype::f32)};
    };
    expect_equal_bits(device_, [&](Device& device) { return losses(device, false); });  // squares are exact in double
    expect_close(device_, 1e-6, [&](Device& device) { return losses(device, true); });
  });
}

TEST_P(NormalisedMse, SameBitsWithAnyNumberOfThreads) {
  const Tensor p = random_tensor(device_, {300, 577}, Dtype::f32, 1),
               t = random_tensor(device_, p.shape(), Dtype::f32, 2);
  const auto run = [&] {
    return std::tuple(number(normalised_mse(p, t, 1)), mean_square_about_mean(t), per_row_normalised_mse(p, t));
  };
  const int before = threads();
  set_threads(1);
  const auto one = run();
  set_threads(3);
  const auto three = run();
  set_threads(before);
  EXPECT_EQ(one, three);
}

TEST_P(NormalisedMse, Refusals) {
  const Tensor p = f32({2, 2}, {1, 2, 3, 4});
  EXPECT_REFUSED(normalised_mse(p, f32({4}, {1, 2, 3, 4}), 1), "normalised_mse: a prediction f32 [2, 2]");
  EXPECT_REFUSED(normalised_mse(p, p.to(Dtype::f64), 1), "normalised_mse");
  EXPECT_REFUSED(normalised_mse(p.to(Dtype::bf16), p.to(Dtype::bf16), 1), "normalised_mse: expected f32 or f64");
  EXPECT_REFUSED(batch_normalised_mse(p, f32({1, 2}, {1, 2})), "batch_normalised_mse");
  EXPECT_REFUSED(normalised_mse(Value(random_row_sparse(device_, 2, 2, 1, Dtype::f32, 1)), p, 1),
                 "normalised_mse: expected a dense tensor");
  EXPECT_REFUSED(per_row_normalised_mse(p, f32({2, 2}, {1, 2, 0, 0})), "per_row_normalised_mse: row 1");
  EXPECT_REFUSED(per_row_normalised_mse(f32({0, 2}, {}), f32({0, 2}, {})), "per_row_normalised_mse");
}

}  // namespace
}  // namespace sae
