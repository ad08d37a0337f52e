#include "ops/gelu/gelu.h"

#include "tests/support/devices.h"

namespace sae {
namespace {

using testing::DeviceTest;
using testing::random_tensor;
using testing::to_double;
using testing::worst_difference;

class Gelu : public DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, Gelu, testing::every_device, testing::device_name);

TEST_P(Gelu, ValuesByHand) {
  // 0.84134474606854293 of a normal distribution lies below 1
  const Tensor x = f64({1, 3}, {0, 1, -1});
  const auto exact = gelu(x, GeluForm::exact, Dtype::f64).to_vector<double>();
  EXPECT_EQ(exact[0], 0);
  EXPECT_DOUBLE_EQ(exact[1], 0.84134474606854293);
  EXPECT_DOUBLE_EQ(exact[2], -(1 - 0.84134474606854293));
  // tanh(0.79788456080286536 * 1.044715) = 0.68238...: half of 1.68238
  const auto approximate = gelu(x, GeluForm::tanh, Dtype::f64).to_vector<double>();
  EXPECT_EQ(approximate[0], 0);
  EXPECT_NEAR(approximate[1], 0.841191990608, 1e-12);
  EXPECT_NEAR(approximate[2], -0.158808009392, 1e-12);
  // gated: the second half of the columns is the other factor
  const Tensor pairs = f64({2, 4}, {1, 0, 3, 5, -1, 1, 10, -2});
  const auto gated = geglu(pairs, GeluForm::exact, Dtype::f64).to_vector<double>();
  EXPECT_DOUBLE_EQ(gated[0], 3 * exact[1]);
  EXPECT_EQ(gated[1], 0);
  EXPECT_DOUBLE_EQ(gated[2], 10 * exact[2]);
  EXPECT_DOUBLE_EQ(gated[3], -2 * exact[1]);
}

TEST_P(Gelu, TheFastFormsStayNearFarFromZero) {
  const Tensor x = f32({1, 8}, {-1e30f, -200, -12, -4, 4, 12, 200, 1e30f});
  for (const GeluForm form : {GeluForm::exact, GeluForm::tanh}) {
    const auto y = gelu(x, form, Dtype::f32).to_vector<float>();
    EXPECT_EQ(y[0], 0);
    EXPECT_EQ(y[1], 0);
    EXPECT_NEAR(y[2], 0, 1e-30);
    EXPECT_NEAR(y[3], form == GeluForm::exact ? -1.2668497e-4 : -7.0249e-5, 1e-8);
    EXPECT_NEAR(y[4], 4, 2e-4);
    EXPECT_EQ(y[5], 12);
    EXPECT_EQ(y[6], 200);
    EXPECT_EQ(y[7], 1e30f);
  }
}

TEST_P(Gelu, FloatAgainstDoubleAtEdgeSizes) {
  for (const GeluForm form : {GeluForm::exact, GeluForm::tanh}) {
    for (const int64_t rows : testing::edge_sizes) {
      for (const int64_t width : testing::edge_sizes) {
        const Tensor x = random_tensor(device_, {rows, 2 * width}, Dtype::f64, 1), x32 = x.to(Dtype::f32);
        const auto plain = to_double(gelu(x, form, Dtype::f64)), gated = to_double(geglu(x, form, Dtype::f64));
        EXPECT_LT(worst_difference(to_double(gelu(x32, form, Dtype::f32)), plain), 3e-7) << rows << " x " << width;
        EXPECT_LT(worst_difference(to_double(geglu(x32, form, Dtype::f32)), gated), 5e-7) << rows << " x " << width;
      }
    }
  }
}

TEST_P(Gelu, Bfloat16OutputIsTheRoundedFloatOutput) {
  const Tensor x = random_tensor(device_, {33, 514}, Dtype::f32, 3);
  for (const GeluForm form : {GeluForm::exact, GeluForm::tanh}) {
    EXPECT_EQ(gelu(x, form, Dtype::bf16).to_vector<bfloat16>(),
              gelu(x, form, Dtype::f32).to(Dtype::bf16).to_vector<bfloat16>());
    EXPECT_EQ(geglu(x, form, Dtype::bf16).to_vector<bfloat16>(),
              geglu(x, form, Dtype::f32).to(Dtype::bf16).to_vector<bfloat16>());
  }
}

TEST_P(Gelu, CloseOnEveryDevice) {
  for (const GeluForm form : {GeluForm::exact, GeluForm::tanh}) {
    testing::expect_close(device_, 1e-6, [&](Device& device) {
      const Tensor x = random_tensor(device, {33, 514}, Dtype::f32, 1);
      return std::vector<Value>{gelu(x, form, Dtype::f32), geglu(x, form, Dtype::f32)};
    });
  }
}

TEST_P(Gelu, Refusals) {
  EXPECT_REFUSED(geglu(f32({1, 3}, {1, 2, 3}), GeluForm::tanh, Dtype::f32), "geglu: expected an even number");
  EXPECT_REFUSED(gelu(f64({1, 2}, {1, 2}), GeluForm::tanh, Dtype::bf16), "gelu: an output of bf16");
  EXPECT_REFUSED(gelu(i32({1, 2}, {1, 2}), GeluForm::exact, Dtype::f32), "gelu: expected f32 or f64");
  Tape tape;
  Parameter parameter("x", f32({1, 2}, {1, 2}));
  EXPECT_REFUSED(gelu(tape.watch(parameter), GeluForm::exact, Dtype::f32), "gelu: it has no backward");
  EXPECT_REFUSED(geglu(tape.watch(parameter), GeluForm::exact, Dtype::f32), "geglu: it has no backward");
}

}  // namespace
}  // namespace sae
