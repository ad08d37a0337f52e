#include "ops/auxiliary_loss/auxiliary_loss.h"

#include "engine/not_finite.h"
#include "engine/parallel.h"
#include "ops/add_row/add_row.h"
#include "ops/auxiliary_loss/auxiliary_loss_device.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/normalised_mse/normalised_mse.h"
#include "ops/relu/relu.h"
#include "ops/subtract_row/subtract_row.h"
#include "ops/topk/topk.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

double number(const Variable& loss) { return to_double(std::get<Tensor>(loss.value)).at(0); }

/// An autoencoder and the rows it is asked about.
struct Case {
  Parameter encoder, encoder_bias, decoder, pre_bias;
  Tensor dead, x, residual;
  int64_t k;

  std::vector<Parameter*> parameters() { return {&encoder, &encoder_bias, &decoder, &pre_bias}; }
  /// The dense gradient of each parameter, which is then forgotten.
  std::vector<std::vector<double>> take_gradients() {
    std::vector<std::vector<double>> all;
    for (Parameter* parameter : parameters()) {
      const Tensor& value = parameter->value();
      all.push_back(to_double(materialize(parameter->gradient, value.device(), value.shape(), value.dtype())));
      parameter->gradient.clear();
    }
    return all;
  }
};

/// Of `latents` latents every third is alive.
Case make_case(Device& device, int64_t rows, int64_t width, int64_t latents, int64_t k, Dtype dtype) {
  std::vector<int32_t> dead;
  for (int32_t latent = 0; latent < latents; ++latent) {
    if (latent % 3 != 1) dead.push_back(latent);
  }
  const auto random = [&](const char* name, Shape shape, uint64_t seed) {
    return Parameter(name, random_tensor(device, shape, dtype, seed));
  };
  return {random("encoder", {latents, width}, 1),
          random("encoder_bias", {latents}, 2),
          random("decoder", {latents, width}, 3),
          random("pre_bias", {width}, 4),
          Tensor::from(device, {static_cast<int64_t>(dead.size())}, dead),
          random_tensor(device, {rows, width}, dtype, 5),
          random_tensor(device, {rows, width}, dtype, 6),
          k};
}

Variable fused(Tape& tape, Case& c, Precision precision) {
  const Variable encoder = tape.watch(c.encoder), bias = tape.watch(c.encoder_bias);
  const Variable decoder = tape.watch(c.decoder), pre_bias = tape.watch(c.pre_bias);
  return auxiliary_loss({encoder, bias, decoder, pre_bias, c.dead, c.k}, c.x, c.residual, precision);
}

class AuxiliaryLossTest : public CpuTest {
 protected:
  Case make(int64_t rows, int64_t width, int64_t latents, int64_t k, Dtype dtype) {
    return make_case(device_, rows, width, latents, k, dtype);
  }

  static Variable plain(Tape& tape, Case& c, Precision precision) {
    const Variable encoder = gather_rows(tape.watch(c.encoder), c.dead), pre_bias = tape.watch(c.pre_bias);
    Variable pre = matmul(subtract_row(c.x, pre_bias), encoder, {.transpose_b = true, .precision = precision});
    pre = add_row(pre, gather_rows(tape.watch(c.encoder_bias), c.dead));
    if (c.k < c.dead.elements()) pre = keep_topk(pre, c.k);
    const Variable decoder = gather_rows(tape.watch(c.decoder), c.dead);
    const Variable prediction = add_row(matmul(relu(pre), decoder, {.precision = precision}), pre_bias);
    const Tensor zeros = Tensor::zeros(c.x.device(), c.x.shape(), c.x.dtype());
    std::vector<double> target = to_double(c.residual);
    for (size_t i = 0; i < target.size(); ++i) {
      target[i] = to_double(c.pre_bias.value())[i % static_cast<size_t>(c.x.cols())] - target[i];
    }
    return batch_normalised_mse(prediction, Tensor::from(c.x.device(), c.x.shape(), target).to(c.x.dtype()));
  }

  /// The loss, then the dense gradient of each parameter.
  template <class Loss>
  std::vector<std::vector<double>> losses_and_gradients(Case& c, Precision precision, Loss&& loss) {
    Tape tape;
    const Variable result = loss(tape, c, precision);
    tape.backward(result);
    std::vector<std::vector<double>> all = c.take_gradients();
    all.insert(all.begin(), {number(result)});
    return all;
  }
};

TEST_F(AuxiliaryLossTest, ValuesByHand) {
  // Latents 0 and 2 are dead. x - b_pre = (2, 1): pre-activations 2 + 0 and 1 + 3; the larger is kept: 4 (0.5, 1), and
  // with the residual (-1, -3) it misses by (1, 1). The second row's are 0 and -1 + 3: 2 (0.5, 1) + (1, -1) = (2, 1).
  const Tensor encoder = f32({3, 2}, {1, 0, 9, 9, 0, 1}), bias = f32({3}, {0, 9, 3});
  const Tensor decoder = f32({3, 2}, {7, 7, 9, 9, 0.5, 1}), pre_bias = f32({2}, {1, 1});
  const Tensor x = f32({2, 2}, {3, 2, 1, 0}), residual = f32({2, 2}, {-1, -3, 1, -1});
  const Variable loss =
      auxiliary_loss({encoder, bias, decoder, pre_bias, i32({2}, {0, 2}), 1}, x, residual, Precision::f32);
  // Squares 1 + 1 + 4 + 1; the residual's columns have mean 0 and -2, and squares of 1 about it.
  EXPECT_EQ(number(loss), 7.0 / 4);
}

TEST_F(AuxiliaryLossTest, TiesGoToTheLowerLatent) {
  // Three equal latents; the decoder says which two were kept.
  const Tensor encoder = f32({3, 1}, {1, 1, 1}), decoder = f32({3, 1}, {1, 10, 100});
  const Variable loss = auxiliary_loss({encoder, f32({3}, {0, 0, 0}), decoder, f32({1}, {0}), i32({3}, {0, 1, 2}), 2},
                                       f32({2, 1}, {1, -1}), f32({2, 1}, {1, -1}), Precision::f32);
  EXPECT_EQ(number(loss), (12.0 * 12 + 1) / 2);
}

TEST_F(AuxiliaryLossTest, NoMoreThanKAreKept) {
  // Decoder rows of 1: the first row's loss tells the sum of what was kept.
  for (const int64_t latents : {1, 16, 17, 40}) {
    for (int64_t k = 1; k <= latents; k += 5) {
      std::vector<float> weights;
      for (int64_t j = 0; j < latents; ++j) weights.push_back(static_cast<float>((j * 7 % latents) - 3));
      std::vector<int32_t> all;
      for (int32_t j = 0; j < latents; ++j) all.push_back(j);
      const Variable loss = auxiliary_loss({f32({latents, 1}, weights), Tensor::zeros(device_, {latents}, Dtype::f32),
                                            f32({latents, 1}, std::vector<float>(static_cast<size_t>(latents), 1)),
                                            f32({1}, {0}), i32({latents}, all), k},
                                           f32({2, 1}, {1, 0}), f32({2, 1}, {1, -1}), Precision::f32);
      std::sort(weights.begin(), weights.end(), std::greater<>());
      double kept = 0;
      for (int64_t j = 0; j < k; ++j) kept += std::max(0.0f, weights[static_cast<size_t>(j)]);
      EXPECT_EQ(number(loss), ((kept + 1) * (kept + 1) + 1) / 2) << k << " of " << latents;
    }
  }
}

TEST_F(AuxiliaryLossTest, Gradient) {
  // The pre-bias has a gradient that no difference of values shows (the target holds it as a constant); the comparison
  // with the separate operations below has it.
  for (const int64_t k : {2, 100}) {
    Case c = make(5, 4, 9, k, Dtype::f64);
    EXPECT_LT(gradient_error({&c.encoder, &c.encoder_bias, &c.decoder},
                             [&](Tape& tape) { return fused(tape, c, Precision::f32); }),
              gradient_tolerance)
        << k;
  }
}

TEST_F(AuxiliaryLossTest, AgreesWithTheSeparateOperationsAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t width : {1, 31, 33}) {
      for (const int64_t latents : {1, 33, 97}) {
        for (const int64_t k : {int64_t{3}, latents}) {
          if (rows == 0) continue;  // the separate operations take none either
          Case c = make(rows, width, latents, k, Dtype::f32);
          const auto got = losses_and_gradients(c, Precision::f32, fused);
          const auto expected = losses_and_gradients(c, Precision::f32, plain);
          for (size_t i = 0; i < got.size(); ++i) {
            EXPECT_LT(worst_difference(got[i], expected[i], 1e-6), 1e-5)
                << rows << " x " << width << ", " << latents << " latents, k " << k << ", number " << i;
          }
        }
      }
    }
  }
}

TEST_F(AuxiliaryLossTest, RoundedFactorsAgreeWithTheSeparateOperations) {
  // Both round the factors, but the separate operations round them after they are scaled.
  Case c = make(257, 40, 150, 40, Dtype::f32);
  const auto got = losses_and_gradients(c, Precision::bf16, fused);
  const auto expected = losses_and_gradients(c, Precision::bf16, plain);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_LT(worst_difference(got[i], expected[i]), 5e-3) << i;
}

TEST_F(AuxiliaryLossTest, GradientsAreRowsOfTheDeadLatents) {
  Case c = make(8, 4, 9, 3, Dtype::f32);
  Tape tape;
  tape.backward(fused(tape, c, Precision::f32));
  for (const Parameter* parameter : {&c.encoder, &c.encoder_bias, &c.decoder}) {
    ASSERT_EQ(parameter->gradient.terms().size(), 1u) << parameter->name();
    const auto* rows = std::get_if<RowsGradient>(&parameter->gradient.terms().front());
    ASSERT_NE(rows, nullptr) << parameter->name();
    EXPECT_TRUE(rows->rows.same_memory(c.dead));
  }
}

TEST_F(AuxiliaryLossTest, SameBitsWithAnyNumberOfThreads) {
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const auto run = [&](int count) {
      const int before = threads();
      set_threads(count);
      Case c = make(257, 40, 150, 40, Dtype::f32);
      auto all = losses_and_gradients(c, precision, fused);
      set_threads(before);
      return all;
    };
    EXPECT_EQ(run(1), run(2));
    EXPECT_EQ(run(1), run(5));
  }
}

TEST_F(AuxiliaryLossTest, AResidualWithoutVarianceHasLossZero) {
  Case c = make(4, 3, 5, 2, Dtype::f64);
  c.residual = Tensor::zeros(device_, {4, 3}, Dtype::f64);
  for (const auto& gradient : losses_and_gradients(c, Precision::f32, fused)) EXPECT_THAT(gradient, ::testing::Each(0));
}

TEST_F(AuxiliaryLossTest, NamesARowThatIsNotFinite) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    Case c = make(40, 3, 5, 2, dtype);
    std::vector<double> x = to_double(c.x);
    x[37 * 3 + 1] = std::numeric_limits<double>::infinity();
    c.x = Tensor::from(device_, {40, 3}, x).to(dtype);
    Tape tape;
    EXPECT_THROW(fused(tape, c, Precision::f32), NotFinite);
    EXPECT_REFUSED(fused(tape, c, Precision::f32), "auxiliary_loss: row 37");
  }
}

TEST_F(AuxiliaryLossTest, Refusals) {
  Case c = make(4, 3, 5, 2, Dtype::f32);
  Tape tape;
  const auto with = [&](auto&& change) {
    Case other = make(4, 3, 5, 2, Dtype::f32);
    change(other);
    return fused(tape, other, Precision::f32);
  };
  EXPECT_REFUSED(with([&](Case& o) { o.dead = i32({0}, {}); }), "expected at least one i32 index");
  EXPECT_REFUSED(with([&](Case& o) { o.dead = i32({1}, {5}); }), "a dead latent 5 of 5");
  EXPECT_REFUSED(with([&](Case& o) { o.k = 0; }), "0 of the dead latents");
  EXPECT_REFUSED(with([&](Case& o) { o.x = o.x.slice_rows(0, 2); }), "for data f32 [2, 3] with residual f32 [4, 3]");
  EXPECT_REFUSED(with([&](Case& o) { o.residual = o.residual.to(Dtype::f64); }), "the dtypes differ");
}

class AuxiliaryLossOnDevice : public DeviceTest {
 protected:
  std::unique_ptr<Device> host_ = Device::open(DeviceKind::cpu);

  /// Loss and gradients with the dead latents listed as where nobody knows how many there are: `spare` places more.
  std::pair<double, std::vector<std::vector<double>>> with_spare_places(Case& c, int64_t spare, double weight) {
    std::vector<int32_t> listed = c.dead.to_vector<int32_t>();
    listed.resize(listed.size() + static_cast<size_t>(spare), static_cast<int32_t>(c.encoder.value().rows()));
    const on_device::AuxiliaryInputs in = {c.encoder.value(),
                                           c.encoder_bias.value(),
                                           c.decoder.value(),
                                           std::get<Tensor>(subtract_row(c.x, Variable(c.pre_bias.value())).value),
                                           c.residual,
                                           column_sum(c.residual),
                                           Tensor::from(device_, {static_cast<int64_t>(listed.size())}, listed),
                                           c.k,
                                           Precision::f32};
    const on_device::AuxiliaryPass pass = on_device::auxiliary_forward(in);
    on_device::AuxiliaryGradients found = on_device::auxiliary_backward(in, pass, weight);
    c.encoder.gradient.add(std::move(found.encoder));
    c.encoder_bias.gradient.add(std::move(found.encoder_bias));
    c.decoder.gradient.add(std::move(found.decoder));
    c.pre_bias.gradient.add(std::move(found.pre_bias));
    return {to_double(pass.loss).at(0), c.take_gradients()};
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, AuxiliaryLossOnDevice, ::testing::Values(DeviceKind::simt, DeviceKind::cuda),
                         device_name);

TEST_P(AuxiliaryLossOnDevice, AgreesWithTheProcessor) {
  constexpr double weight = 1.0 / 32;
  for (const int64_t rows : {1, 33}) {
    for (const int64_t latents : {1, 70}) {
      for (const int64_t k : {int64_t{1}, int64_t{5}, latents}) {
        Case there = make_case(*host_, rows, 9, latents, k, Dtype::f32);
        Case here = make_case(device_, rows, 9, latents, k, Dtype::f32);
        const auto run = [&](Case& c) {
          Tape tape;
          const Variable loss = fused(tape, c, Precision::f32);
          const std::vector<WeightedLoss> terms = {{loss, weight}};
          tape.backward(terms);
          return std::pair(number(loss), c.take_gradients());
        };
        const auto expected = run(there);
        for (const int64_t spare : {-1, 0, 1, 12}) {  // -1: on a tape
          const auto got = spare < 0 ? run(here) : with_spare_places(here, spare, weight);
          EXPECT_NEAR(got.first, expected.first, 1e-6 * expected.first);
          for (size_t i = 0; i < 4; ++i) {
            EXPECT_LT(worst_difference(got.second[i], expected.second[i], 1e-6), 1e-5)
                << rows << " rows, " << latents << " latents, k " << k << ", spare " << spare << ", gradient " << i;
          }
        }
      }
    }
  }
}

TEST_P(AuxiliaryLossOnDevice, NobodyDeadAndAResidualThatDoesNotVary) {
  Case nobody = make_case(device_, 21, 9, 30, 2, Dtype::f32);
  nobody.dead = i32({0}, {});
  Case constant = make_case(device_, 21, 9, 30, 2, Dtype::f32);
  constant.residual = f32({21, 9}, std::vector<float>(21 * 9, 0.7f));
  for (Case* c : {&nobody, &constant}) {
    const auto [loss, gradients] = with_spare_places(*c, 3, 1);
    EXPECT_EQ(loss, 0);
    for (const std::vector<double>& gradient : gradients) EXPECT_THAT(gradient, ::testing::Each(0));
  }
}

TEST_P(AuxiliaryLossOnDevice, RefusesDoubles) {
  Case c = make_case(device_, 4, 3, 5, 2, Dtype::f64);
  Tape tape;
  EXPECT_REFUSED(fused(tape, c, Precision::f32), "auxiliary_loss");
}

}  // namespace
}  // namespace sae
