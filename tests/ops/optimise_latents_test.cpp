#include "ops/optimise_latents/optimise_latents.h"

#include <atomic>

#include "engine/parallel.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

constexpr int64_t latents = 83, width = 37, batch = 64;

/// Encoder and decoder with their moments and averages, and a way to step them.
struct Pair {
  Parameter encoder, decoder;
  AdamState encoder_state, decoder_state;
  WeightAverage encoder_average, decoder_average;

  Pair(Device& device, Dtype dtype)
      : encoder("encoder", testing::random_tensor(device, {latents, width}, dtype, 1)),
        decoder("decoder", testing::random_tensor(device, {latents, width}, dtype, 2)),
        encoder_state(encoder),
        decoder_state(decoder),
        encoder_average(encoder, 0.9),
        decoder_average(decoder, 0.9) {}

  void fused(const RowsWritten& written = {}) {
    optimise_latents({{encoder, encoder_state, RowConstraint::none, &encoder_average},
                      {decoder, decoder_state, RowConstraint::unit_norm, &decoder_average}},
                     {.learning_rate = 0.01}, written);
  }
  void plain() {
    adam_step(encoder, encoder_state, {.learning_rate = 0.01});
    adam_step(decoder, decoder_state, {.learning_rate = 0.01}, RowConstraint::unit_norm);
    encoder_average.update(encoder);
    decoder_average.update(decoder);
  }
  std::vector<std::vector<double>> state() const {
    std::vector<std::vector<double>> all;
    for (const Tensor& tensor : {encoder.value(), decoder.value(), encoder_state.first_moment.value(),
                                 encoder_state.second_moment.value(), decoder_state.first_moment.value(),
                                 decoder_state.second_moment.value(), encoder_average.raw(), decoder_average.raw()}) {
      all.push_back(testing::to_double(tensor));
    }
    return all;
  }
};

class OptimiseLatents : public testing::DeviceTest {
 protected:
  /// A few latents are used by nearly every row and most by hardly any, as in trained autoencoders.
  static Value uneven_pattern(Device& device, bool compressed, Dtype dtype, uint64_t seed) {
    const Philox random(seed, 7);
    std::vector<int64_t> offsets = {0};
    std::vector<int32_t> index;
    constexpr int64_t k = 6;
    for (int64_t row = 0; row < batch; ++row) {
      for (int64_t j = 0; j < k; ++j) {
        const float u = random.uniform(static_cast<uint64_t>(row * k + j));
        if (compressed && u > 0.8f) continue;
        // Strictly ascending within a row: place j of the sixths of the latents.
        index.push_back(static_cast<int32_t>(j * 13 + static_cast<int64_t>(13 * u * u * u * u)));
      }
      offsets.push_back(static_cast<int64_t>(index.size()));
    }
    const auto stored = static_cast<int64_t>(index.size());
    if (!compressed) {
      return RowSparse{Columns(Tensor::from(device, {batch, k}, index)),
                       testing::random_tensor(device, {batch, k}, dtype, seed + 1), latents};
    }
    return CompressedRows{Tensor::from(device, {batch + 1}, offsets), Tensor::from(device, {stored}, index),
                          testing::random_tensor(device, {stored}, dtype, seed + 1), latents};
  }

  /// The gradients of a step: two deferred products over one pattern; now and then listed rows before and a product of
  /// another pattern after them.
  static void add_gradients(Pair& pair, bool compressed, Dtype dtype, uint64_t step) {
    Device& device = pair.encoder.value().device();
    const auto random = [&](Shape shape, uint64_t seed) {
      return testing::random_tensor(device, shape, dtype, 1000 * step + seed);
    };
    const Value z = uneven_pattern(device, compressed, dtype, step);
    const Value dz = with_stored_values(z, random(stored_values(z).shape(), 3));
    if (step % 2 == 1) {
      for (Parameter* parameter : {&pair.encoder, &pair.decoder}) {
        parameter->gradient.add(RowsGradient{Tensor::from(device, {4}, std::vector<int32_t>{80, 3, 3, 41}),
                                             random({4, width}, 4), latents});
      }
    }
    pair.encoder.gradient.add(DeferredProduct{dz, random({batch, width}, 5)});
    pair.decoder.gradient.add(DeferredProduct{z, random({batch, width}, 6)});
    if (step % 3 == 2) {
      pair.decoder.gradient.add(DeferredProduct{testing::random_row_sparse(device, batch, latents, 3, dtype, step),
                                                random({batch, width}, 8)});
      pair.encoder.gradient.add(random({latents, width}, 9));
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, OptimiseLatents, testing::every_device, testing::device_name);

TEST_P(OptimiseLatents, HasTheBitsOfTheSeparateSteps) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    for (const bool compressed : {false, true}) {
      Pair fused(device_, dtype), plain(device_, dtype);
      for (uint64_t step = 0; step < 6; ++step) {
        add_gradients(fused, compressed, dtype, step);
        add_gradients(plain, compressed, dtype, step);
        fused.fused();
        plain.plain();
        ASSERT_EQ(fused.state(), plain.state()) << name_of(dtype) << " compressed " << compressed << " step " << step;
      }
      EXPECT_TRUE(fused.encoder.gradient.empty());
      EXPECT_TRUE(fused.decoder.gradient.empty());
      EXPECT_EQ(fused.encoder_state.step, 6);
      EXPECT_EQ(fused.decoder_average.updates(), 6);
    }
  }
}

TEST_P(OptimiseLatents, FloatAgreesWithDoubleAndWithAnyNumberOfThreads) {
  const auto run = [&](Dtype dtype, int count) {
    const int before = threads();
    set_threads(count);
    Pair pair(device_, dtype);
    for (uint64_t step = 0; step < 5; ++step) {
      add_gradients(pair, step % 2 == 0, dtype, step);
      pair.fused();
    }
    set_threads(before);
    return pair.state();
  };
  const auto one = run(Dtype::f32, 1);
  EXPECT_EQ(run(Dtype::f32, 2), one);
  EXPECT_EQ(run(Dtype::f32, 5), one);
  const auto exact = run(Dtype::f64, 2);
  for (size_t i = 0; i < exact.size(); ++i) EXPECT_LT(testing::worst_difference(one[i], exact[i]), 1e-4) << i;
}

TEST_P(OptimiseLatents, AgreesWithTheCpu) {
  const auto run = [](Device& device) {
    Pair pair(device, Dtype::f32);
    for (uint64_t step = 0; step < 5; ++step) {
      add_gradients(pair, step % 2 == 0, Dtype::f32, step);
      pair.fused();
    }
    return std::vector<Value>{pair.encoder.value(), pair.decoder.value(), pair.encoder_average.raw(),
                              pair.decoder_average.raw()};
  };
  testing::expect_close(device_, 1e-5, run);
}

/// On a device the rows are said to be written once, when their kernels are launched.
TEST_P(OptimiseLatents, SaysOnceThatAllRowsAreWritten) {
  if (device_.kind() == DeviceKind::cpu) return;
  Pair pair(device_, Dtype::f32);
  add_gradients(pair, false, Dtype::f32, 1);
  std::vector<std::pair<int64_t, int64_t>> ranges;
  pair.fused([&](int64_t begin, int64_t end) { ranges.emplace_back(begin, end); });
  EXPECT_EQ(ranges, (std::vector<std::pair<int64_t, int64_t>>{{0, latents}}));
}

TEST_P(OptimiseLatents, SaysWhichRowsAreWrittenWhenTheyAre) {
  if (device_.kind() != DeviceKind::cpu) return;
  for (const int count : {1, 3}) {
    const int before = threads();
    set_threads(count);
    Pair pair(device_, Dtype::f32);
    const std::vector<float> old = pair.decoder.value().to_vector<float>();
    add_gradients(pair, false, Dtype::f32, 1);
    std::vector<std::atomic<int>> visits(latents);
    std::vector<float> seen(static_cast<size_t>(latents * width));
    pair.fused([&](int64_t begin, int64_t end) {
      EXPECT_EQ(begin % latent_block, 0);
      for (int64_t row = begin; row < end; ++row) {
        ++visits[static_cast<size_t>(row)];
        std::copy_n(pair.decoder.value().data<float>() + row * width, width,
                    seen.begin() + static_cast<std::ptrdiff_t>(row * width));
      }
    });
    for (const auto& visit : visits) EXPECT_EQ(visit, 1);
    EXPECT_EQ(seen, pair.decoder.value().to_vector<float>()) << "a row changed after it was said to be written";
    EXPECT_NE(seen, old);
    set_threads(before);
  }
}

TEST_P(OptimiseLatents, EdgeSizesAndNoAverage) {
  for (const int64_t rows : testing::edge_sizes) {
    if (rows == 0) continue;
    for (const int64_t cols : testing::edge_sizes) {
      const Tensor start = testing::random_tensor(device_, {rows, cols}, Dtype::f32, 1);
      const RowsGradient last{i32({1}, {static_cast<int32_t>(rows - 1)}),
                              testing::random_tensor(device_, {1, cols}, Dtype::f32, 2), rows};
      Parameter fused("w", start), plain("w", start);
      AdamState fused_state(fused), plain_state(plain);
      fused.gradient.add(last);
      plain.gradient.add(last);
      optimise_latents({{fused, fused_state}}, {});
      adam_step(plain, plain_state, {});
      EXPECT_EQ(fused.value().to_vector<float>(), plain.value().to_vector<float>());
    }
  }
}

TEST_P(OptimiseLatents, Refusals) {
  EXPECT_REFUSED(optimise_latents({}, {}), "optimise_latents: no matrix");
  Parameter a("a", f32({2, 1}, {1, 2})), b("b", f32({3, 1}, {1, 2, 3})), c("c", f64({2, 1}, {1, 2}));
  AdamState state_a(a), state_b(b), state_c(c);
  EXPECT_REFUSED(optimise_latents({{a, state_a}, {b, state_b}}, {}), "'b' is f32 [3, 1]");
  EXPECT_REFUSED(optimise_latents({{a, state_a}, {c, state_c}}, {}), "'c' is f64 [2, 1]");
  EXPECT_REFUSED(optimise_latents({{a, state_a}}, {}), "adam: 'a' has no gradient");
  a.gradient.add(f32({2, 1}, {0, std::numeric_limits<float>::quiet_NaN()}));
  EXPECT_REFUSED(optimise_latents({{a, state_a}}, {}), "row 1 of 'a'");
}

}  // namespace
}  // namespace sae
