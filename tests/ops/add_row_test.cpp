#include "ops/add_row/add_row.h"

#include "tests/support/devices.h"
#include "tests/support/gradient_check.h"

namespace sae {
namespace {

using namespace sae::testing;

class AddRow : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, AddRow, every_device, device_name);

TEST_P(AddRow, ValuesByHand) {
  const Variable y = add_row(f32({2, 3}, {1, 2, 3, 4, 5, 6}), f32({3}, {10, 20, 30}));
  EXPECT_EQ(std::get<Tensor>(y.value).to_vector<float>(), (std::vector<float>{11, 22, 33, 14, 25, 36}));
  EXPECT_EQ(y.tape, nullptr);
}

TEST_P(AddRow, GradientInEveryLayoutThatMayArrive) {
  Parameter x = random_parameter(device_, "x", {5, 7}, 1), b = random_parameter(device_, "b", {7}, 2);
  const auto f = [&](Tape& tape) { return add_row(tape.watch(x), tape.watch(b)); };
  EXPECT_LT(gradient_error({&x, &b}, f), gradient_tolerance);
  EXPECT_LT(gradient_error({&x, &b}, f, random_row_sparse(device_, 5, 7, 3, Dtype::f64, 3)), gradient_tolerance);
  EXPECT_LT(gradient_error({&x, &b}, f, random_compressed(device_, 5, 7, Dtype::f64, 3)), gradient_tolerance);
}

TEST_P(AddRow, HandsTheGradientOnInItsLayout) {
  struct Probe final : Node {
    Value* seen;
    std::string_view name() const override { return "probe"; }
    void backward(const Value& gradient, Gradients&) override { *seen = gradient; }
  };
  Parameter x = random_parameter(device_, "x", {5, 7}, 1), b = random_parameter(device_, "b", {7}, 2);
  Value seen = b.value();
  Tape tape;
  auto probe = std::make_unique<Probe>();
  probe->seen = &seen;
  const Variable input = tape.watch(x);
  const Variable probed = tape.record(x.value(), std::move(probe), {&input});
  const Value gradient = random_row_sparse(device_, 5, 7, 3, Dtype::f64, 3);
  tape.backward(add_row(probed, tape.watch(b)), gradient);
  EXPECT_TRUE(same_pattern(seen, gradient));
  EXPECT_TRUE(stored_values(seen).same_memory(stored_values(gradient)));
  EXPECT_EQ(tape.report().densified, 0);
}

TEST_P(AddRow, ConstantInputTakesAColumnSum) {
  const Tensor x = random_tensor(device_, {5, 7}, Dtype::f64, 1);
  Parameter b = random_parameter(device_, "b", {7}, 2);
  const Tensor gradient = random_tensor(device_, {5, 7}, Dtype::f64, 3);
  Tape full, summed;
  full.backward(add_row(x, full.watch(b)), gradient);
  const std::vector<double> expected = to_double(materialize(b.gradient, device_, {7}, Dtype::f64));
  b.gradient.clear();
  summed.backward(add_row(x, summed.watch(b)), column_sum(gradient));
  EXPECT_EQ(to_double(materialize(b.gradient, device_, {7}, Dtype::f64)), expected);
  EXPECT_LT(gradient_error({&b}, [&](Tape& tape) { return add_row(x, tape.watch(b)); }), gradient_tolerance);
}

TEST_P(AddRow, FloatIsTheRoundedSumAtEdgeSizes) {
  for (const int64_t rows : edge_sizes) {
    for (const int64_t cols : edge_sizes) {
      const Tensor x = random_tensor(device_, {rows, cols}, Dtype::f32, 1);
      const Tensor b = random_tensor(device_, {1, cols}, Dtype::f32, 2);
      const Variable y = add_row(x, b);
      const Variable reference = add_row(x.to(Dtype::f64), b.to(Dtype::f64));
      ASSERT_EQ(std::get<Tensor>(y.value).shape(), x.shape());
      // One addition: the float result is the double result, rounded.
      EXPECT_EQ(to_double(std::get<Tensor>(y.value)), to_double(std::get<Tensor>(reference.value).to(Dtype::f32)));
      Parameter pb("b", b);
      Tape tape;
      const Tensor gradient = random_tensor(device_, {rows, cols}, Dtype::f32, 3);
      tape.backward(add_row(x, tape.watch(pb)), gradient);
      EXPECT_LT(worst_difference(materialize(pb.gradient, device_, {1, cols}, Dtype::f32),
                                 column_sum(gradient.to(Dtype::f64))),
                1e-7);
    }
  }
}

TEST_P(AddRow, EqualBitsOnEveryDevice) {
  for_edge_shapes([&](int64_t rows, int64_t cols) {
    expect_equal_bits(device_, [&](Device& device) {
      Parameter b("b", exact_tensor(device, {1, cols}, Dtype::f32, 2));
      const Tensor x = exact_tensor(device, {rows, cols}, Dtype::f32, 1);
      Tape dense, sparse;
      const Variable y = add_row(x, dense.watch(b));
      dense.backward(y, exact_tensor(device, {rows, cols}, Dtype::f32, 3));
      sparse.backward(add_row(x, sparse.watch(b)), exact_compressed(device, rows, cols, Dtype::f32, 4));
      return std::vector<Value>{y.value, materialize(b.gradient, device, {1, cols}, Dtype::f32)};
    });
  });
}

TEST_P(AddRow, Refusals) {
  const Tensor x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_REFUSED(add_row(x, f32({2}, {1, 2})), "add_row: f32 [2, 3] plus a row f32 [2]");
  EXPECT_REFUSED(add_row(x, f32({3, 1}, {1, 2, 3})), "add_row");
  EXPECT_REFUSED(add_row(x, f64({3}, {1, 2, 3})), "add_row");
  EXPECT_REFUSED(add_row(x.to(Dtype::bf16), f32({3}, {1, 2, 3}).to(Dtype::bf16)), "add_row: expected f32 or f64");
  EXPECT_REFUSED(add_row(Value(random_row_sparse(device_, 2, 3, 1, Dtype::f32, 1)), f32({3}, {1, 2, 3})),
                 "add_row: expected a dense tensor");
}

}  // namespace
}  // namespace sae
