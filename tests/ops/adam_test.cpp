#include "ops/adam/adam.h"

#include "engine/parallel.h"
#include "ops/adam/adam_cpu.h"
#include "ops/unit_norm/unit_norm.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

class Adam : public testing::DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Adam, testing::every_device, testing::device_name);

TEST_P(Adam, FirstStepsByHand) {
  Parameter p("p", f64({1, 2}, {1.0, -2.0}));
  AdamState state(p);
  const AdamOptions options{.learning_rate = 0.1, .beta1 = 0.5, .beta2 = 0.75, .epsilon = 0.0};
  p.gradient.add(f64({1, 2}, {4.0, -0.5}));
  adam_step(p, state, options);
  // The first corrected step is learning_rate in the direction of -sign(g), whatever g's size.
  EXPECT_NEAR(p.value().to_vector<double>()[0], 0.9, 1e-15);
  EXPECT_NEAR(p.value().to_vector<double>()[1], -1.9, 1e-15);
  EXPECT_TRUE(p.gradient.empty());
  p.gradient.add(f64({1, 2}, {0.0, 0.0}));
  adam_step(p, state, options);
  // m = 0.5 * 2 = 1, corrected by 1 - 0.25; v = 0.75 * 4 = 3, corrected by 1 - 0.5625
  EXPECT_NEAR(p.value().to_vector<double>()[0], 0.9 - 0.1 * (1.0 / 0.75) / std::sqrt(3.0 / 0.4375), 1e-15);
  EXPECT_EQ(state.step, 2);
}

TEST_P(Adam, TermsAddUp) {
  // A deferred product, a dense term and listed rows, against their materialised sum.
  const Tensor start = testing::random_tensor(device_, {9, 5}, Dtype::f64, 1);
  const DeferredProduct product{testing::random_row_sparse(device_, 20, 9, 3, Dtype::f64, 2),
                                testing::random_tensor(device_, {20, 5}, Dtype::f64, 3)};
  const DeferredProduct other{testing::random_compressed(device_, 20, 9, Dtype::f64, 4),
                              testing::random_tensor(device_, {20, 5}, Dtype::f64, 5)};
  const RowsGradient rows{i32({3}, {8, 2, 8}), testing::random_tensor(device_, {3, 5}, Dtype::f64, 6), 9};
  const Tensor dense = testing::random_tensor(device_, {9, 5}, Dtype::f64, 7);
  for (const RowConstraint constraint : {RowConstraint::none, RowConstraint::unit_norm}) {
    Parameter a("a", Tensor::from(device_, start.shape(), start.to_vector<double>()));
    Parameter b("b", Tensor::from(device_, start.shape(), start.to_vector<double>()));
    AdamState state_a(a), state_b(b);
    for (int step = 0; step < 3; ++step) {
      Gradient all;
      for (const GradientTerm& term :
           {GradientTerm(product), GradientTerm(other), GradientTerm(rows), GradientTerm(dense)}) {
        all.add(term);
        a.gradient.add(term);
      }
      b.gradient.add(materialize(all, device_, start.shape(), Dtype::f64));
      adam_step(a, state_a, {.learning_rate = 0.01}, constraint);
      adam_step(b, state_b, {.learning_rate = 0.01}, constraint);
    }
    EXPECT_LT(testing::worst_difference(Value(a.value()), Value(b.value())), 1e-12);
  }
}

TEST_P(Adam, UnitNormIsProjectionStepAndRenormalisation) {
  Parameter fused("fused", testing::random_tensor(device_, {33, 31}, Dtype::f64, 1));
  normalise_rows(fused);
  Parameter plain("plain", fused.value().clone());
  const Tensor g = testing::random_tensor(device_, {33, 31}, Dtype::f64, 2);
  AdamState fused_state(fused), plain_state(plain);
  fused.gradient.add(g);
  plain.gradient.add(remove_parallel_component(g, plain.value()));
  adam_step(fused, fused_state, {.learning_rate = 0.1}, RowConstraint::unit_norm);
  adam_step(plain, plain_state, {.learning_rate = 0.1});
  normalise_rows(plain);
  EXPECT_LT(testing::worst_difference(Value(fused.value()), Value(plain.value())), 1e-14);
}

// Every element is formed in the same order on every device, and root and division are rounded correctly on each: bits
// are equal whatever the numbers. The lengths of rows are sums in another order.
TEST_P(Adam, ParityAtEdgeSizes) {
  for (const int64_t latents : {1, 33}) {
    for (const int64_t width : testing::edge_sizes) {
      for (const RowConstraint constraint : {RowConstraint::none, RowConstraint::unit_norm}) {
        const auto run = [&](Device& device) {
          Parameter p("p", testing::random_tensor(device, {latents, width}, Dtype::f32, 1));
          if (constraint == RowConstraint::unit_norm) normalise_rows(p);
          AdamState state(p);
          for (uint64_t step = 0; step < 2; ++step) {
            const Tensor batch = testing::random_tensor(device, {40, width}, Dtype::f32, 2 + step);
            p.gradient.add(DeferredProduct{
                testing::random_row_sparse(device, 40, latents, (latents + 7) / 8, Dtype::f32, step), batch});
            p.gradient.add(
                RowsGradient{Tensor::from(device, {3}, std::vector<int32_t>{0, static_cast<int32_t>(latents - 1), 0}),
                             testing::random_tensor(device, {3, width}, Dtype::f32, 9 + step), latents});
            p.gradient.add(testing::random_tensor(device, {latents, width}, Dtype::f32, 19 + step));
            adam_step(p, state, {.learning_rate = 0.01}, constraint);
          }
          return std::vector<Value>{p.value(), state.first_moment.value(), state.second_moment.value()};
        };
        if (constraint == RowConstraint::none) {
          testing::expect_equal_bits(device_, run);
        } else {
          testing::expect_close(device_, 1e-5, run);
        }
      }
    }
  }
}

TEST_P(Adam, AVectorTakesItsListedElements) {
  testing::expect_equal_bits(device_, [](Device& device) {
    Parameter bias("bias", testing::random_tensor(device, {300}, Dtype::f32, 1));
    AdamState state(bias);
    bias.gradient.add(testing::random_tensor(device, {1, 300}, Dtype::f32, 2));
    bias.gradient.add(RowsGradient{Tensor::from(device, {3}, std::vector<int32_t>{7, 299, 7}),
                                   testing::random_tensor(device, {3, 1}, Dtype::f32, 3), 300});
    adam_step(bias, state, {.learning_rate = 0.01});
    return std::vector<Value>{bias.value()};
  });
}

class AdamOnCpu : public testing::CpuTest {};

/// A row with its moments, gradient and average, random.
struct SteppedRowValues {
  std::vector<float> weights, first_moment, second_moment, gradient, average;

  SteppedRowValues(Device& device, int64_t width) {
    const auto random = [&](uint64_t seed) {
      return testing::random_tensor(device, {width}, Dtype::f32, seed).to_vector<float>();
    };
    weights = random(1), first_moment = random(2), second_moment = random(3), gradient = random(4), average = random(5);
    for (float& square : second_moment) square = std::abs(square);
  }
  cpu::SteppedRow<float> places(bool averaged) {
    return {weights.data(),
            first_moment.data(),
            second_moment.data(),
            gradient.data(),
            averaged ? average.data() : nullptr,
            0.99f,
            0.01f};
  }
  bool operator==(const SteppedRowValues&) const = default;
};

TEST_F(AdamOnCpu, OnePassOverARowHasTheReferenceBits) {
  const AdamFactors<float> factors{0.9f, 0.1f, 0.999f, 0.001f, 1e-3f, 1.7f, 6.25e-10f};
  for (const int64_t width : testing::edge_sizes) {
    for (const bool unit_norm : {false, true}) {
      for (const bool averaged : {false, true}) {
        SteppedRowValues one(device_, width), other = one;
        const float sum = cpu::step_row_plainly(one.places(averaged), width, factors, unit_norm);
        const float fast_sum = cpu::step_row(other.places(averaged), width, factors, unit_norm);
        EXPECT_EQ(sum, fast_sum) << width;
        EXPECT_TRUE(one == other) << width << (unit_norm ? ", unit norm" : "") << (averaged ? ", averaged" : "");
      }
    }
  }
  std::vector<float> zeros(3, 0), moments(3, 0), squares(3, 1), gradient(3, 0);
  const float nothing =
      cpu::step_row({zeros.data(), moments.data(), squares.data(), gradient.data(), nullptr, 0, 0}, 3, factors, true);
  EXPECT_EQ(nothing, 0.0f) << "a row of zeros stays as it is";
}

TEST_P(Adam, FloatAgreesWithDoubleAndWithAnyNumberOfThreads) {
  const auto run = [&](Dtype dtype, int thread_count) {
    const int before = threads();
    set_threads(thread_count);
    Parameter p("p", testing::random_tensor(device_, {257, 33}, dtype, 1));
    AdamState state(p);
    for (int step = 0; step < 5; ++step) {
      p.gradient.add(
          DeferredProduct{testing::random_row_sparse(device_, 64, 257, 8, dtype, static_cast<uint64_t>(10 + step)),
                          testing::random_tensor(device_, {64, 33}, dtype, static_cast<uint64_t>(20 + step))});
      adam_step(p, state, {.learning_rate = 1e-3}, RowConstraint::unit_norm);
    }
    set_threads(before);
    return testing::to_double(p.value());
  };
  EXPECT_LT(testing::worst_difference(run(Dtype::f32, 2), run(Dtype::f64, 2)), 1e-4);
  EXPECT_EQ(run(Dtype::f32, 1), run(Dtype::f32, 2));
}

TEST_P(Adam, Refusals) {
  Parameter p("weight", f32({2, 2}, {1, 2, 3, 4}));
  AdamState state(p);
  EXPECT_REFUSED(adam_step(p, state, {}), "adam: 'weight' has no gradient");
  p.gradient.add(f32({3, 2}, std::vector<float>(6)));
  EXPECT_THROW(adam_step(p, state, {}), Error);
  p.gradient.clear();
  p.gradient.add(f32({2, 2}, {0, 0, 0, std::numeric_limits<float>::quiet_NaN()}));
  EXPECT_REFUSED(adam_step(p, state, {}), "row 1 of 'weight'");
  Parameter other("other", f32({1, 2}, {1, 2}));
  other.gradient.add(f32({1, 2}, {1, 2}));
  EXPECT_REFUSED(adam_step(other, state, {}), "adam: moments");
}

}  // namespace
}  // namespace sae
