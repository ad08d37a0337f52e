#include "ops/dead_latents/dead_latents.h"

#include "ops/add_row/add_row.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/normalised_mse/normalised_mse.h"
#include "ops/relu/relu.h"
#include "ops/subtract/subtract.h"
#include "ops/subtract_row/subtract_row.h"
#include "ops/topk/topk.h"
#include "tests/support/devices.h"

namespace sae {
namespace {

using namespace sae::testing;

class DeadLatentsTest : public DeviceTest {
 protected:
  std::vector<int32_t> listed(const std::vector<int64_t>& rows_since_fired, int64_t dead_after, int64_t capacity,
                              int expected_dead) {
    DeadLatents dead(device_, rows_since_fired, dead_after, capacity);
    Writable count = Tensor::empty(device_, {1}, Dtype::i32);
    dead.list(count.data<int32_t>());
    EXPECT_EQ(std::move(count).freeze().item<int32_t>(), expected_dead);
    return dead.listed().to_vector<int32_t>();
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, DeadLatentsTest, ::testing::Values(DeviceKind::simt, DeviceKind::cuda), device_name);

TEST_P(DeadLatentsTest, ListsTheDeadInOrder) {
  const std::vector<int64_t> rows = {5, 10, 0, 11, 9, 10};
  EXPECT_EQ(listed(rows, 10, 5, 3), (std::vector<int32_t>{1, 3, 5, 6, 6}));
  EXPECT_EQ(listed(rows, 10, 2, 3), (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(listed(rows, 10, 0, 3), (std::vector<int32_t>{}));
  EXPECT_EQ(listed(rows, 12, 3, 0), (std::vector<int32_t>{6, 6, 6}));
  std::vector<int64_t> many(1000);
  for (size_t j = 0; j < many.size(); ++j) many[j] = j % 3 == 0 ? 7 : 6;
  const std::vector<int32_t> found = listed(many, 7, 334, 334);
  for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], static_cast<int32_t>(3 * i));
}

TEST_P(DeadLatentsTest, CountsRowsSinceALatentFired) {
  DeadLatents dead(device_, {100, 200, 300, 400}, 10, 4);
  const Tensor active = Tensor::zeros(device_, {1}, Dtype::i32);
  const RowSparse latents = {Columns(i32({3, 2}, {0, 1, 0, 2, 1, 2})), f32({3, 2}, {1, 0.5f, 2, 0.1f, -1, 0}), 4};
  dead.count(latents, 0.1f, const_cast<int*>(active.data<int32_t>()));
  EXPECT_EQ(dead.rows_since_fired(), (std::vector<int64_t>{0, 0, 303, 403}));
  EXPECT_EQ(active.item<int32_t>(), 3);
}

constexpr int64_t rows = 21, width = 9, latents = 30;

struct Weights {
  Parameter encoder, bias, decoder, pre_bias;
  explicit Weights(Device& device)
      : encoder("encoder", random_tensor(device, {latents, width}, Dtype::f32, 1)),
        bias("bias", random_tensor(device, {latents}, Dtype::f32, 2)),
        decoder("decoder", random_tensor(device, {latents, width}, Dtype::f32, 3)),
        pre_bias("pre_bias", random_tensor(device, {width}, Dtype::f32, 4)) {}
  std::vector<std::vector<double>> gradients() const {
    std::vector<std::vector<double>> all;
    for (const Parameter* p : {&encoder, &bias, &decoder, &pre_bias}) {
      const Tensor& value = p->value();
      all.push_back(to_double(materialize(p->gradient, value.device(), value.shape(), value.dtype())));
    }
    return all;
  }
};

Tensor data(Device& device, uint64_t seed) { return random_tensor(device, {rows, width}, Dtype::f32, seed); }

constexpr double weight = 1.0 / 32;

/// The composition of operations, on the cpu.
double expected(Weights& w, const std::vector<int32_t>& dead, int64_t k, const Tensor& x, const Tensor& residual) {
  Device& device = x.device();
  const Tensor list = Tensor::from(device, {static_cast<int64_t>(dead.size())}, dead);
  Tape tape;
  const Variable pre_bias = tape.watch(w.pre_bias);
  const Variable encoder = gather_rows(tape.watch(w.encoder), list), bias = gather_rows(tape.watch(w.bias), list);
  const Variable decoder = gather_rows(tape.watch(w.decoder), list);
  Variable pre = add_row(matmul(subtract_row(x, pre_bias), encoder, {.transpose_b = true}), bias);
  if (list.elements() > k) pre = keep_topk(pre, k);
  const Variable prediction = add_row(matmul(relu(pre), decoder), pre_bias);
  const Variable missed = subtract(Tensor::zeros(device, x.shape(), x.dtype()), residual);
  const Tensor target = std::get<Tensor>(add_row(missed, Variable(w.pre_bias.value())).value);
  const Variable loss = batch_normalised_mse(prediction, target);
  const std::vector<WeightedLoss> terms = {{loss, weight}};
  tape.backward(terms);
  return to_double(std::get<Tensor>(loss.value)).at(0);
}

double actual(Weights& w, const Tensor& listed, int64_t k, const Tensor& x, const Tensor& residual) {
  const Tensor centred = std::get<Tensor>(subtract_row(x, Variable(w.pre_bias.value())).value);
  const Tensor sums = column_sum(residual);
  AuxiliaryGradients got = auxiliary_gradients({w.encoder.value(), w.bias.value(), w.decoder.value(), centred, residual,
                                                sums, listed, k, weight, Precision::f32});
  w.encoder.gradient.add(got.encoder);
  w.bias.gradient.add(got.encoder_bias);
  w.decoder.gradient.add(got.decoder);
  w.pre_bias.gradient.add(got.pre_bias);
  return to_double(got.loss).at(0);
}

TEST_P(DeadLatentsTest, AuxiliaryGradientsAreThoseOfTheComposition) {
  const auto host = Device::open(DeviceKind::cpu);
  const std::vector<int32_t> dead = {2, 3, 11, 12, 20, 28, 29};
  for (const int64_t k : {1, 3, 7, 10}) {
    for (const int64_t capacity : {7, 8, 12}) {
      std::vector<int32_t> padded = dead;
      padded.resize(static_cast<size_t>(capacity), latents);
      Weights on_host(*host), here(device_);
      const double loss = expected(on_host, dead, k, data(*host, 5), data(*host, 6));
      EXPECT_NEAR(actual(here, i32({capacity}, padded), k, data(device_, 5), data(device_, 6)), loss, 1e-6 * loss);
      const auto want = on_host.gradients(), got = here.gradients();
      for (size_t i = 0; i < want.size(); ++i) {
        EXPECT_LT(worst_difference(got[i], want[i]), 1e-5)
            << "k " << k << " capacity " << capacity << " gradient " << i;
      }
    }
  }
}

TEST_P(DeadLatentsTest, NobodyDeadAndAResidualThatDoesNotVary) {
  Weights w(device_);
  const Tensor nobody = i32({3}, {latents, latents, latents});
  EXPECT_EQ(actual(w, nobody, 2, data(device_, 5), data(device_, 6)), 0);
  for (const std::vector<double>& gradient : w.gradients()) {
    for (const double g : gradient) EXPECT_EQ(g, 0);
  }
  Weights same(device_);
  const Tensor constant = f32({rows, width}, std::vector<float>(static_cast<size_t>(rows * width), 0.7f));
  EXPECT_EQ(actual(same, i32({2}, {4, 5}), 2, data(device_, 5), constant), 0);
  for (const std::vector<double>& gradient : same.gradients()) {
    for (const double g : gradient) EXPECT_EQ(g, 0);
  }
}

TEST_P(DeadLatentsTest, Refusals) {
  EXPECT_REFUSED(DeadLatents(device_, {1, 2, 3}, 1, 4), "dead_latents: room for 4 of 3");
  const auto host = Device::open(DeviceKind::cpu);
  EXPECT_REFUSED(DeadLatents(*host, {1, 2, 3}, 1, 1), "dead_latents");
}

}  // namespace
}  // namespace sae
