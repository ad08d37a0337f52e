#include "ops/subtract/subtract.h"

#include "tests/support/gradient_check.h"

namespace sae {
namespace {

class Subtract : public testing::CpuTest {};

TEST_F(Subtract, ValuesByHand) {
  const Variable y = subtract(f32({2, 2}, {1, 2, 3, 4}), f32({2, 2}, {4, 2, -1, 0.5f}));
  EXPECT_EQ(std::get<Tensor>(y.value).to_vector<float>(), (std::vector<float>{-3, 0, 4, 3.5f}));
}

TEST_F(Subtract, Gradient) {
  for (const int64_t rows : testing::edge_sizes) {
    Parameter a = testing::random_parameter(device_, "a", {rows, 3}, 1);
    Parameter b = testing::random_parameter(device_, "b", {rows, 3}, 2);
    const auto f = [&](Tape& tape) { return subtract(tape.watch(a), tape.watch(b)); };
    EXPECT_LT(testing::gradient_error({&a, &b}, f), testing::gradient_tolerance) << rows << " rows";
  }
}

TEST_F(Subtract, Refusals) {
  EXPECT_REFUSED(subtract(f32({1, 2}, {1, 2}), f32({2, 1}, {1, 2})), "subtract");
  EXPECT_REFUSED(subtract(f32({1}, {1}), f64({1}, {1})), "subtract");
  EXPECT_REFUSED(
      subtract(Value(testing::random_row_sparse(device_, 2, 5, 2, Dtype::f32, 1)), f32({2, 5}, std::vector<float>(10))),
      "subtract");
}

}  // namespace
}  // namespace sae
