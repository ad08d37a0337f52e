#include "ops/subtract_row/subtract_row.h"

#include "ops/matmul/matmul.h"
#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class SubtractRow : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, SubtractRow, every_device, device_name);

TEST_P(SubtractRow, ValuesByHand) {
  const Variable y = subtract_row(f32({2, 3}, {1, 2, 3, 4, 5, 6}), f32({3}, {10, 20, 30}));
  EXPECT_EQ(std::get<Tensor>(y.value).to_vector<float>(), (std::vector<float>{-9, -18, -27, -6, -15, -24}));
  EXPECT_EQ(y.tape, nullptr);
}

TEST_P(SubtractRow, GradientInEveryLayoutThatMayArrive) {
  Parameter x = random_parameter(device_, "x", {5, 7}, 1), b = random_parameter(device_, "b", {7}, 2);
  const auto f = [&](Tape& tape) { return subtract_row(tape.watch(x), tape.watch(b)); };
  EXPECT_LT(gradient_error({&x, &b}, f), gradient_tolerance);
  EXPECT_LT(gradient_error({&x, &b}, f, random_row_sparse(device_, 5, 7, 3, Dtype::f64, 3)), gradient_tolerance);
  EXPECT_LT(gradient_error({&x, &b}, f, random_compressed(device_, 5, 7, Dtype::f64, 3)), gradient_tolerance);
}

/// Records which shape of gradient reached the pre-bias.
std::string gradient_at(const TapeReport& report, std::string_view op) {
  for (const TapeReport::Row& row : report.rows) {
    if (row.name == op) return row.gradient;
  }
  return "not recorded";
}

TEST_P(SubtractRow, ConstantInputReceivesOnlyAColumnSum) {
  const Tensor x = random_tensor(device_, {9, 5}, Dtype::f64, 1);
  Parameter b = random_parameter(device_, "b", {5}, 2), w = random_parameter(device_, "w", {12, 5}, 3);
  for (const Value& gradient : {Value(random_tensor(device_, {9, 12}, Dtype::f64, 4)),
                                Value(random_row_sparse(device_, 9, 12, 3, Dtype::f64, 5)),
                                Value(random_compressed(device_, 9, 12, Dtype::f64, 6))}) {
    const auto product = [&](Tape& tape, const Variable& data) {
      return matmul(subtract_row(data, tape.watch(b)), tape.watch(w), {.transpose_b = true});
    };
    EXPECT_LT(gradient_error(
                  {&b, &w}, [&](Tape& tape) { return product(tape, x); }, gradient),
              gradient_tolerance);
    const Tensor short_way = materialize(b.gradient, device_, {5}, Dtype::f64);
    // The long way: the data is a parameter too, so the whole gradient is formed.
    Parameter data("x", x);
    b.gradient.clear();
    Tape full;
    full.backward(product(full, full.watch(data)), gradient);
    EXPECT_LT(worst_difference(short_way, materialize(b.gradient, device_, {5}, Dtype::f64)), 1e-12);
    EXPECT_EQ(gradient_at(full.report(), "subtract_row"), "dense f64 [9, 5]");
    Tape summed;
    summed.backward(product(summed, x), gradient);
    EXPECT_EQ(gradient_at(summed.report(), "subtract_row"), "dense f64 [1, 5]");
  }
}

TEST_P(SubtractRow, FloatIsTheRoundedDifferenceAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      const Tensor x = random_tensor(device_, {rows, cols}, Dtype::f32, 1);
      const Tensor b = random_tensor(device_, {1, cols}, Dtype::f32, 2);
      const Variable y = subtract_row(x, b);
      const Variable reference = subtract_row(x.to(Dtype::f64), b.to(Dtype::f64));
      ASSERT_EQ(std::get<Tensor>(y.value).shape(), x.shape());
      EXPECT_EQ(to_double(std::get<Tensor>(y.value)), to_double(std::get<Tensor>(reference.value).to(Dtype::f32)));
      Parameter pb("b", b), pb64("b", b.to(Dtype::f64));
      const Tensor gradient = random_tensor(device_, {rows, cols}, Dtype::f32, 3);
      Tape tape, tape64;
      tape.backward(subtract_row(x, tape.watch(pb)), gradient);
      tape64.backward(subtract_row(x.to(Dtype::f64), tape64.watch(pb64)), gradient.to(Dtype::f64));
      EXPECT_LT(worst_difference(materialize(pb.gradient, device_, {1, cols}, Dtype::f32),
                                 materialize(pb64.gradient, device_, {1, cols}, Dtype::f64)),
                1e-7);
    }
  }
}

TEST_P(SubtractRow, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      Parameter b("b", exact_tensor(device, {1, cols}, Dtype::f32, 2));
      const Tensor x = exact_tensor(device, {rows, cols}, Dtype::f32, 1);
      Tape dense, sparse;
      const Variable y = subtract_row(x, dense.watch(b));
      dense.backward(y, exact_tensor(device, {rows, cols}, Dtype::f32, 3));
      sparse.backward(subtract_row(x, sparse.watch(b)), exact_compressed(device, rows, cols, Dtype::f32, 4));
      return std::vector<Value>{y.value, materialize(b.gradient, device, {1, cols}, Dtype::f32)};
    });
  });
}

TEST_P(SubtractRow, Refusals) {
  const Tensor x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_REFUSED(subtract_row(x, f32({2}, {1, 2})), "subtract_row: f32 [2, 3] minus a row f32 [2]");
  EXPECT_REFUSED(subtract_row(x, f64({3}, {1, 2, 3})), "subtract_row");
  EXPECT_REFUSED(subtract_row(x.to(Dtype::bf16), f32({3}, {1, 2, 3}).to(Dtype::bf16)), "subtract_row: expected f32");
  EXPECT_REFUSED(subtract_row(Value(random_row_sparse(device_, 2, 3, 1, Dtype::f32, 1)), f32({3}, {1, 2, 3})),
                 "subtract_row: expected a dense tensor");
}

}  // namespace
}  // namespace sae
