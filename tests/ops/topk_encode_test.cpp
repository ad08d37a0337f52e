#include "ops/topk_encode/topk_encode.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/not_finite.h"
#include "engine/parallel.h"
#include "engine/row_kernels.h"
#include "engine/simd.h"
#include "ops/add_row/add_row.h"
#include "ops/matmul/matmul.h"
#include "ops/subtract_row/subtract_row.h"
#include "ops/topk/topk.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

struct Chosen {
  std::vector<int32_t> columns;
  std::vector<float> values;
  friend bool operator==(const Chosen&, const Chosen&) = default;
};

Chosen chosen(const Variable& y) {
  const auto& sparse = std::get<RowSparse>(y.value);
  return {sparse.columns.index().to_vector<int32_t>(), sparse.values.to_vector<float>()};
}

/// The contract, word for word: every score by our dot product, the k best, ties to the lower latent. The scores have
/// these bits on every device.
Chosen by_contract(const Tensor& rows, const Tensor& weights, const Tensor& biases, int64_t k) {
  const auto host = Device::open(DeviceKind::cpu);
  const Tensor x = rows.to(*host), encoder = weights.to(*host), bias = biases.to(*host);
  Chosen all;
  for (int64_t row = 0; row < x.rows(); ++row) {
    std::vector<float> scores;
    for (int64_t j = 0; j < encoder.rows(); ++j) {
      scores.push_back(dot(x.data<float>() + row * x.cols(), encoder.data<float>() + j * x.cols(), x.cols()) +
                       bias.data<float>()[j]);
    }
    std::vector<int32_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    const auto score = [&](int32_t j) { return scores[static_cast<size_t>(j)]; };
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return score(a) > score(b); });
    order.resize(static_cast<size_t>(k));
    std::sort(order.begin(), order.end());
    for (const int32_t j : order) {
      all.columns.push_back(j);
      all.values.push_back(score(j));
    }
  }
  return all;
}

class TopkEncode : public testing::DeviceTest {
 protected:
  Tensor normal(Shape shape, uint64_t seed) { return testing::random_tensor(device_, shape, Dtype::f32, seed); }

  /// Both ways of screening, and the one for rows too few to pack for, against the contract; returns how many rows the
  /// first computed whole.
  int64_t expect_contract(const Tensor& x, const Tensor& encoder, const Tensor& bias, int64_t k) {
    const Chosen expected = by_contract(x, encoder, bias, k);
    const EncoderPanels panels = EncoderPanels::pack(encoder);
    EncodeCounts counts;
    EXPECT_EQ(chosen(topk_encode(x, encoder, bias, k, {.panels = &panels, .counts = &counts})), expected)
        << x.describe() << " " << encoder.describe() << " k " << k;
    EXPECT_EQ(chosen(topk_encode(x, encoder, bias, k)), expected) << "packed by the call, if at all";
    EXPECT_EQ(chosen(topk_encode(x, encoder, bias, k, {.screen_in_float32 = true})), expected)
        << x.describe() << " " << encoder.describe() << " k " << k << ", screened in float32";
    EXPECT_EQ(counts.rows, x.rows());
    return counts.exact_rows;
  }

  bool on_cpu() const { return device_.kind() == DeviceKind::cpu; }  // the only device on which there may be many

  /// Is there a screening product in bfloat16?
  bool rounds() const { return !on_cpu() || has_bf16_products(); }
};

INSTANTIATE_TEST_SUITE_P(Devices, TopkEncode, testing::every_device, testing::device_name);

class TopkEncodeOnCpu : public testing::CpuTest {
 protected:
  Tensor normal(Shape shape, uint64_t seed) { return testing::random_tensor(device_, shape, Dtype::f32, seed); }
};

TEST_P(TopkEncode, ValuesByHand) {
  const Tensor x = f32({2, 2}, {1, 2, -1, 0}), encoder = f32({3, 2}, {1, 0, 0, 1, 1, 1});
  const Variable y = topk_encode(x, encoder, f32({3}, {0.5f, 0, -4}), 2);
  EXPECT_EQ(chosen(y), (Chosen{{0, 1, 0, 1}, {1.5f, 2, -0.5f, 0}}));
  EXPECT_EQ(std::get<RowSparse>(y.value).cols, 3);
}

TEST_P(TopkEncode, ChoosesTheFloat32SetAtEverySize) {
  for (const int64_t rows : {0, 1, 6, 7, 33}) {
    for (const int64_t width : {1, 31, 96}) {
      for (const int64_t latents : {1, 64, 65, 500}) {
        for (const int64_t k : {1, 8, 63}) {
          if (k > latents || (!on_cpu() && rows * latents > 500)) continue;
          expect_contract(normal({rows, width}, 1), normal({latents, width}, 2), normal({latents}, 3), k);
        }
      }
    }
  }
}

TEST_P(TopkEncode, ManyLatentsAndRows) {
  const Tensor encoder = normal({5003, 128}, 2), bias = normal({5003}, 3);
  const Tensor x = normal({on_cpu() ? 257 : 3, 128}, 1);
  for (const int64_t k : {1, 32, 128}) {
    if (!on_cpu() && k == 1) continue;
    EXPECT_EQ(expect_contract(x, encoder, bias, k), 0) << "rows that had to be computed whole";
  }
  // More than a tile's rows.
  const Tensor few = normal({3, 2}, 2), none = Tensor::zeros(device_, {3}, Dtype::f32), rows = normal({4097, 2}, 1);
  EXPECT_EQ(chosen(topk_encode(rows, few, none, 1)), by_contract(rows, few, none, 1));
}

/// What bfloat16 cannot tell apart, float32 must: encoder rows that differ in their last bits.
TEST_P(TopkEncode, LatentsThatBfloat16TakesForEqual) {
  const int64_t latents = 300, width = 64;
  const std::vector<float> row = normal({1, width}, 5).to_vector<float>();
  std::vector<float> encoder;
  const Philox random(6, 0);
  for (int64_t j = 0; j < latents; ++j) {
    for (int64_t i = 0; i < width; ++i) {
      const auto draw = static_cast<uint64_t>(j * width + i);
      encoder.push_back(row[static_cast<size_t>(i)] * (1.0f + 1e-6f * static_cast<float>(random.below(draw, 16))));
    }
  }
  const Tensor e = f32({latents, width}, encoder), none = Tensor::zeros(device_, {latents}, Dtype::f32);
  const int64_t whole = expect_contract(normal({9, width}, 7), e, none, 8);
  EXPECT_EQ(whole, rounds() ? 9 : 0);  // 300 candidates do not fit into 2 k + 64
}

TEST_P(TopkEncode, TiesGoToTheLowerLatent) {
  const int64_t latents = on_cpu() ? 1000 : 160, width = 32;
  std::vector<float> repeated;  // seven different rows, again and again
  const std::vector<float> rows = normal({7, width}, 8).to_vector<float>();
  for (int64_t j = 0; j < latents; ++j) {
    const auto at = static_cast<std::ptrdiff_t>(j % 7 * width);
    repeated.insert(repeated.end(), rows.begin() + at, rows.begin() + at + width);
  }
  const Tensor none = Tensor::zeros(device_, {latents}, Dtype::f32);
  for (const int64_t k : {int64_t{1}, int64_t{20}, int64_t{150}, latents}) {
    expect_contract(normal({7, width}, 9), f32({latents, width}, repeated), none, k);
    // All scores equal: the first k.
    expect_contract(Tensor::zeros(device_, {3, width}, Dtype::f32), normal({latents, width}, 10), none, k);
    expect_contract(normal({3, width}, 9), Tensor::zeros(device_, {latents, width}, Dtype::f32), none, k);
  }
}

TEST_P(TopkEncode, RisingAndFallingScores) {
  const int64_t latents = on_cpu() ? 2000 : 500;
  std::vector<float> rising;
  for (int64_t j = 0; j < latents; ++j) rising.push_back(static_cast<float>(j) * 0.37f);
  const Tensor x = f32({4, 1}, {1, -1, 0.5f, -3}), bias = normal({latents}, 11);
  for (const int64_t k : {1, 16, 100}) {
    expect_contract(x, f32({latents, 1}, rising), bias, k);
    expect_contract(x, f32({latents, 1}, rising), f32({latents}, rising), k);
  }
}

TEST_P(TopkEncode, OneHugeRowAndHugeBiases) {
  const int64_t rows = on_cpu() ? 20 : 4, latents = 700, width = 48;
  std::vector<float> encoder = normal({latents, width}, 12).to_vector<float>();
  for (int64_t i = 0; i < width; ++i) encoder[static_cast<size_t>(300 * width + i)] *= 1e4f;
  std::vector<float> bias = normal({latents}, 13).to_vector<float>();
  bias[17] = 1e8f;
  bias[18] = -1e8f;
  expect_contract(normal({rows, width}, 14), f32({latents, width}, encoder), f32({latents}, bias), 16);
  for (float& value : encoder) value *= 1e15f;  // scores near 1e17 are fine; squares of norms are not
  expect_contract(normal({rows, width}, 14), f32({latents, width}, encoder), f32({latents}, bias), 16);
  for (float& value : encoder) value *= 1e-37f;
  expect_contract(normal({rows, width}, 14), f32({latents, width}, encoder), f32({latents}, bias), 16);
}

/// bf16 and f32 are the products of that precision, filtered: where the factors are small integers they are exact.
TEST_P(TopkEncode, OtherScoringsAgreeWhereProductsAreExact) {
  const auto integers = [&](Shape shape, uint64_t seed) {
    const Philox random(seed, 0);
    std::vector<float> values;
    for (int64_t i = 0; i < shape.elements(); ++i) {
      values.push_back(static_cast<float>(random.below(static_cast<uint64_t>(i), 17)) - 8);
    }
    return f32(shape, values);
  };
  const Tensor x = integers({40, 70}, 1), encoder = integers({900, 70}, 2), bias = integers({900}, 3);
  const Chosen expected = by_contract(x, encoder, bias, 24);
  for (const Scoring scoring : {Scoring::exact, Scoring::bf16, Scoring::f32}) {
    EncodeCounts counts;
    EXPECT_EQ(chosen(topk_encode(x, encoder, bias, 24, {.scoring = scoring, .counts = &counts})), expected);
    EXPECT_EQ(counts.rescored > 0, scoring == Scoring::exact);
  }
}

TEST_P(TopkEncode, Bfloat16ScoresAreThoseOfTheRoundedFactors) {
  if (!rounds()) GTEST_SKIP() << "this processor has no bfloat16 products";
  const auto rounded = [](const Tensor& t) { return t.to(Dtype::bf16).to(Dtype::f32); };
  const Tensor x = normal({50, 96}, 1), encoder = normal({1000, 96}, 2), bias = normal({1000}, 3);
  const Chosen screened = chosen(topk_encode(x, encoder, bias, 16, {.scoring = Scoring::bf16}));
  const Chosen expected = by_contract(rounded(x), rounded(encoder), bias, 16);
  EXPECT_EQ(screened.columns, expected.columns);
  for (size_t i = 0; i < expected.values.size(); ++i) EXPECT_NEAR(screened.values[i], expected.values[i], 1e-4f);
}

TEST_F(TopkEncodeOnCpu, SameBitsForAnyNumberOfThreads) {
  const Tensor x = normal({300, 64}, 1), encoder = normal({1500, 64}, 2), bias = normal({1500}, 3);
  const int before = threads();
  for (const Scoring scoring : {Scoring::exact, Scoring::bf16, Scoring::f32}) {
    set_threads(1);
    const Chosen one = chosen(topk_encode(x, encoder, bias, 16, {.scoring = scoring}));
    set_threads(2);
    EXPECT_EQ(chosen(topk_encode(x, encoder, bias, 16, {.scoring = scoring})), one);
  }
  set_threads(before);
}

TEST_F(TopkEncodeOnCpu, PanelsFollowTheirParameter) {
  Parameter encoder("encoder", normal({130, 40}, 1));
  const Tensor x = normal({20, 40}, 2), bias = normal({130}, 3);
  EncoderPanels panels;
  EXPECT_FALSE(panels.holds(encoder));
  panels.refresh(encoder);
  EXPECT_TRUE(panels.holds(encoder));
  EXPECT_EQ(chosen(topk_encode(x, encoder.value(), bias, 8, {.panels = &panels})),
            by_contract(x, encoder.value(), bias, 8));
  // As the optimiser does it: blocks packed as they are written.
  encoder.update<float>([&](float* elements) {
    for (int64_t first = 0; first < 130; first += 16) {
      const int64_t count = std::min<int64_t>(16, 130 - first);
      for (int64_t i = 0; i < count * 40; ++i) elements[first * 40 + i] *= -1.5f;
      panels.pack_rows(first, count, elements + first * 40);
    }
  });
  EXPECT_FALSE(panels.holds(encoder));
  panels.mark_current(encoder);
  const EncoderPanels fresh = EncoderPanels::pack(encoder.value());
  EXPECT_EQ(panels.rounded_norms(), fresh.rounded_norms());
  EXPECT_EQ(panels.residual_norms(), fresh.residual_norms());
  EXPECT_EQ(chosen(topk_encode(x, encoder.value(), bias, 8, {.panels = &panels})),
            by_contract(x, encoder.value(), bias, 8));
  EXPECT_REFUSED(panels.pack_rows(8, 16, encoder.value().data<float>()), "encoder panels");
  EXPECT_REFUSED(panels.pack_rows(0, 20, encoder.value().data<float>()), "encoder panels");
}

/// The bounds are bounds, and close: in double, against the rounded rows.
TEST_F(TopkEncodeOnCpu, NormsBoundTheRoundedAndTheLostPart) {
  if (!has_bf16_products()) GTEST_SKIP() << "this processor has no bfloat16 products";
  const Tensor encoder = normal({33, 77}, 4);
  const EncoderPanels panels = EncoderPanels::pack(encoder);
  const Tensor rounded = encoder.to(Dtype::bf16).to(Dtype::f32);
  for (int64_t row = 0; row < 33; ++row) {
    double kept = 0, lost = 0;
    for (int64_t i = 0; i < 77; ++i) {
      const double r = rounded.data<float>()[row * 77 + i], w = encoder.data<float>()[row * 77 + i];
      kept += r * r;
      lost += (w - r) * (w - r);
    }
    const auto at = static_cast<size_t>(row);
    EXPECT_GE(panels.rounded_norms()[at], std::sqrt(kept));
    EXPECT_LE(panels.rounded_norms()[at], std::sqrt(kept) * 1.002);
    EXPECT_GE(panels.residual_norms()[at], std::sqrt(lost));
    EXPECT_LE(panels.residual_norms()[at], std::sqrt(lost) * 1.002);
  }
}

TEST_P(TopkEncode, Gradient) {
  Parameter x = testing::random_parameter(device_, "x", {5, 3}, 21);
  Parameter encoder = testing::random_parameter(device_, "encoder", {7, 3}, 22);
  Parameter bias = testing::random_parameter(device_, "bias", {7}, 23);
  EXPECT_LT(testing::gradient_error(
                {&x, &encoder, &bias},
                [&](Tape& tape) { return topk_encode(tape.watch(x), tape.watch(encoder), tape.watch(bias), 2); }),
            testing::gradient_tolerance);
  // Where x is a constant less a row, the row's gradient needs the column sum alone.
  const Tensor rows = testing::random_tensor(device_, {5, 3}, Dtype::f64, 24);
  Parameter row = testing::random_parameter(device_, "row", {3}, 25);
  EXPECT_LT(testing::gradient_error({&row, &encoder},
                                    [&](Tape& tape) {
                                      const Variable centred = subtract_row(rows, tape.watch(row));
                                      return topk_encode(centred, tape.watch(encoder), bias.value(), 2);
                                    }),
            testing::gradient_tolerance);
}

/// Forward and backward against the composition that it replaces, in float32, through the tape.
TEST_P(TopkEncode, AgreesWithThePlainComposition) {
  const Tensor x = normal({40, 33}, 31);
  Parameter encoder("encoder", normal({200, 33}, 32)), bias("bias", normal({200}, 33)), row("row", normal({33}, 34));
  const Tensor cotangent = normal({40, 16}, 35);
  const auto gradients = [&](bool fused) {
    std::vector<std::vector<double>> all;
    Tape tape;
    const Variable centred = subtract_row(x, tape.watch(row));
    const Variable e = tape.watch(encoder), b = tape.watch(bias);
    const Variable y =
        fused ? topk_encode(centred, e, b, 16) : topk(add_row(matmul(centred, e, {.transpose_b = true}), b), 16);
    all.push_back(testing::dense_values(y.value));
    tape.backward(y, with_stored_values(y.value, cotangent));
    EXPECT_EQ(tape.report().densified, 0);
    EXPECT_TRUE(std::holds_alternative<DeferredProduct>(encoder.gradient.terms().at(0)));
    for (Parameter* p : {&encoder, &bias, &row}) {
      all.push_back(testing::to_double(materialize(p->gradient, device_, p->value().shape(), Dtype::f32)));
      p->gradient.clear();
    }
    return all;
  };
  const auto fused = gradients(true), plain = gradients(false);
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_LT(testing::worst_difference(fused[i], plain[i], 1.0), 1e-5) << i;
}

TEST_P(TopkEncode, Refusals) {
  const Tensor x = f32({1, 3}, {1, 2, 3}), encoder = normal({4, 3}, 1), bias = normal({4}, 2);
  EXPECT_REFUSED(topk_encode(x, encoder, bias, 0), "topk_encode: expected 1 <= k <= 4");
  EXPECT_REFUSED(topk_encode(x, encoder, bias, 5), "topk_encode");
  EXPECT_REFUSED(topk_encode(x, normal({4, 2}, 1), bias, 1), "topk_encode");
  EXPECT_REFUSED(topk_encode(x, encoder, normal({3}, 2), 1), "topk_encode");
  EXPECT_REFUSED(topk_encode(x, encoder.to(Dtype::f64), bias, 1), "topk_encode");
  const EncoderPanels other = EncoderPanels::pack(normal({5, 3}, 1));
  EXPECT_REFUSED(topk_encode(x, encoder, bias, 1, {.panels = &other}), "topk_encode: panels");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    for (const bool in_float32 : {false, true}) {
      std::vector<float> values = normal({9, 3}, 4).to_vector<float>();
      values[25] = bad;  // row 8
      EXPECT_THROW(topk_encode(f32({9, 3}, values), encoder, bias, 2, {.screen_in_float32 = in_float32}), NotFinite);
      EXPECT_REFUSED(topk_encode(f32({9, 3}, values), encoder, bias, 2, {.screen_in_float32 = in_float32}),
                     "topk_encode: row 8");
      std::vector<float> weights = encoder.to_vector<float>();
      weights[7] = bad;
      EXPECT_THROW(topk_encode(x, f32({4, 3}, weights), bias, 2, {.screen_in_float32 = in_float32}), NotFinite);
      std::vector<float> biases = bias.to_vector<float>();
      biases[3] = bad;
      EXPECT_THROW(topk_encode(x, encoder, f32({4}, biases), 2, {.screen_in_float32 = in_float32}), NotFinite);
    }
  }
}

TEST_P(TopkEncode, GradientMustHaveTheSameColumns) {
  Parameter encoder = testing::random_parameter(device_, "encoder", {5, 3}, 1);
  Tape tape;
  const Variable y = topk_encode(testing::random_tensor(device_, {2, 3}, Dtype::f64, 2), tape.watch(encoder),
                                 Tensor::zeros(device_, {5}, Dtype::f64), 2);
  EXPECT_REFUSED(tape.backward(y, Value(testing::random_row_sparse(device_, 2, 5, 2, Dtype::f64, 1))),
                 "topk_encode backward");
}

}  // namespace
}  // namespace sae
