#include "ops/reconstruction_loss/reconstruction_loss.h"

#include "engine/parallel.h"
#include "ops/add_row/add_row.h"
#include "ops/matmul/matmul.h"
#include "ops/normalised_mse/normalised_mse.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

double number(const Variable& loss) { return to_double(std::get<Tensor>(loss.value)).at(0); }

class ReconstructionLossTest : public DeviceTest {
 protected:
  std::vector<Value> patterns(int64_t rows, int64_t latents, Dtype dtype) {
    std::vector<Value> all;
    all.emplace_back(random_compressed(device_, rows, latents, dtype, 3));
    all.emplace_back(random_row_sparse(device_, rows, latents, (latents + 2) / 3, dtype, 4));
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, ReconstructionLossTest, every_device, device_name);

TEST_P(ReconstructionLossTest, ValuesByHand) {
  // Row 0 is 2 (3, 4) + 0.5 for (6, 8), row 1 is -1 (1, 0) + 0.5 for (0, 1).
  const RowSparse z{Columns(i32({2, 1}, {1, 0})), f32({2, 1}, {2, -1}), 2};
  const Tensor dictionary = f32({2, 2}, {1, 0, 3, 4}), bias = f32({2}, {0.5, 0.5}), x = f32({2, 2}, {6, 8, 0, 1});
  const ReconstructionLoss got = reconstruction_loss(Value(z), dictionary, bias, x, 0.5);
  EXPECT_EQ(got.residual.to_vector<float>(), (std::vector<float>{0.5, 0.5, -0.5, -0.5}));
  EXPECT_EQ(number(got.loss), 0.125);
}

TEST_P(ReconstructionLossTest, Gradient) {
  Parameter code = random_parameter(device_, "code", {6, 9}, 1);
  Parameter dictionary = random_parameter(device_, "dictionary", {9, 5}, 2);
  Parameter bias = random_parameter(device_, "bias", {5}, 3);
  const Tensor x = random_tensor(device_, {6, 5}, Dtype::f64, 4);
  for (const Value& pattern : patterns(6, 9, Dtype::f64)) {
    EXPECT_LT(gradient_error({&code, &dictionary, &bias},
                             [&](Tape& tape) {
                               return reconstruction_loss(at_pattern(tape.watch(code), pattern), tape.watch(dictionary),
                                                          tape.watch(bias), x, 3.7)
                                   .loss;
                             }),
              gradient_tolerance)
        << describe(pattern);
  }
}

TEST_P(ReconstructionLossTest, AgreesWithTheSeparateOperationsAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t width : edge_sizes) {
      for (const Value& pattern : patterns(rows, 33, Dtype::f32)) {
        if (device_.kind() != DeviceKind::cpu && rows * width > 1100) continue;
        const Tensor x = random_tensor(device_, {rows, width}, Dtype::f32, 5);
        const auto gradients = [&](bool fused, double& loss) {
          Parameter code("code", random_tensor(device_, {rows, 33}, Dtype::f32, 6));
          Parameter dictionary("dictionary", random_tensor(device_, {33, width}, Dtype::f32, 7));
          Parameter bias("bias", random_tensor(device_, {width}, Dtype::f32, 8));
          Tape tape;
          const Variable z = at_pattern(tape.watch(code), pattern);
          const Variable D = tape.watch(dictionary), b = tape.watch(bias);
          const Variable result =
              fused ? reconstruction_loss(z, D, b, x, 3.7).loss : normalised_mse(add_row(matmul(z, D), b), x, 3.7);
          loss = number(result);
          tape.backward(result);
          std::vector<std::vector<double>> all;
          for (Parameter* parameter : {&code, &dictionary, &bias}) {
            all.push_back(to_double(materialize(parameter->gradient, device_, parameter->value().shape(), Dtype::f32)));
          }
          return all;
        };
        double loss = 0, expected_loss = 0;
        const auto got = gradients(true, loss), expected = gradients(false, expected_loss);
        EXPECT_NEAR(loss, expected_loss, 1e-6 * expected_loss);
        for (size_t i = 0; i < got.size(); ++i) {
          EXPECT_LT(worst_difference(got[i], expected[i], 1e-6), 3e-6) << rows << " x " << width << ", input " << i;
        }
      }
    }
  }
}

TEST_P(ReconstructionLossTest, SameBitsWithAnyNumberOfThreads) {
  const Value z = random_row_sparse(device_, 257, 40, 5, Dtype::f32, 1);
  const Tensor dictionary = random_tensor(device_, {40, 33}, Dtype::f32, 2);
  const Tensor bias = random_tensor(device_, {33}, Dtype::f32, 3), x = random_tensor(device_, {257, 33}, Dtype::f32, 4);
  const auto run = [&](int count) {
    const int before = threads();
    set_threads(count);
    const ReconstructionLoss got = reconstruction_loss(z, dictionary, bias, x, 1);
    set_threads(before);
    return std::pair(number(got.loss), got.residual.to_vector<float>());
  };
  EXPECT_EQ(run(1), run(2));
  EXPECT_EQ(run(1), run(5));
}

/// Sums and products run in the cpu's order, so that floats of any size have its bits.
TEST_P(ReconstructionLossTest, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t width) {
    if (rows * width > 40000) return;
    const auto run = [&](Device& device) {
      std::vector<Value> results;
      for (const Value& pattern : {Value(random_row_sparse(device, rows, 33, 5, Dtype::f32, 1)),
                                   Value(random_compressed(device, rows, 33, Dtype::f32, 2))}) {
        Parameter code("code", random_tensor(device, {rows, 33}, Dtype::f32, 6));
        Parameter dictionary("dictionary", random_tensor(device, {33, width}, Dtype::f32, 3));
        Parameter bias("bias", random_tensor(device, {width}, Dtype::f32, 4));
        Tape tape;
        const Variable z = at_pattern(tape.watch(code), pattern);
        const ReconstructionLoss got = reconstruction_loss(z, tape.watch(dictionary), tape.watch(bias),
                                                           random_tensor(device, {rows, width}, Dtype::f32, 5), 3.7);
        tape.backward(got.loss);
        results.insert(results.end(), {got.loss.value, got.residual});
        for (Parameter* parameter : {&code, &dictionary, &bias}) {
          results.push_back(
              materialize(parameter->gradient, device, parameter->value().shape(), parameter->value().dtype()));
        }
      }
      return results;
    };
    expect_equal_bits(device_, run, std::to_string(rows) + " x " + std::to_string(width));
  });
}

TEST_P(ReconstructionLossTest, NothingIsAddedForInputsThatWantNoGradient) {
  Parameter dictionary = random_parameter(device_, "dictionary", {9, 5}, 2);
  Tape tape;
  const Value z = random_row_sparse(device_, 6, 9, 2, Dtype::f64, 1);
  const ReconstructionLoss got = reconstruction_loss(z, tape.watch(dictionary), Tensor::zeros(device_, {5}, Dtype::f64),
                                                     random_tensor(device_, {6, 5}, Dtype::f64, 4), 1);
  tape.backward(got.loss);
  ASSERT_EQ(dictionary.gradient.terms().size(), 1u);
  EXPECT_TRUE(std::holds_alternative<DeferredProduct>(dictionary.gradient.terms().front()));
  EXPECT_EQ(tape.report().densified, 0);
}

TEST_P(ReconstructionLossTest, Refusals) {
  const Value z = random_row_sparse(device_, 2, 3, 1, Dtype::f32, 1);
  const Tensor dictionary = f32({3, 2}, {1, 2, 3, 4, 5, 6}), bias = f32({2}, {0, 0}), x = f32({2, 2}, {1, 2, 3, 4});
  EXPECT_REFUSED(reconstruction_loss(x, dictionary, bias, x, 1), "reconstruction_loss: expected a sparse layout");
  EXPECT_REFUSED(reconstruction_loss(z, f32({2, 2}, {1, 2, 3, 4}), bias, x, 1), "reconstruction_loss: row-sparse");
  EXPECT_REFUSED(reconstruction_loss(z, dictionary, f32({1}, {0}), x, 1), "plus a row of 1");
  EXPECT_REFUSED(reconstruction_loss(z, dictionary, bias, f32({1, 2}, {1, 2}), 1), "for data f32 [1, 2]");
  EXPECT_REFUSED(reconstruction_loss(z, dictionary, bias, x.to(Dtype::f64), 1), "the dtypes differ");
}

}  // namespace
}  // namespace sae
