#include "engine/lanes_math_simd.h"

namespace sae::SIMD_NAMESPACE {
namespace {

struct Exact {
  /// x times the normal distribution's tail, so that far below 0 the value runs to 0 and not to the error of a
  /// difference. erfc(a) = t e^(p(t) - a^2), t = 1 / (1 + a / 2), p of degree 9, within 1.2e-7 of itself for every
  /// a >= 0 (Press et al., Numerical Recipes, 6.2).
  lanes operator()(lanes x) const {
    const lanes a = select(x < 0.0f, -x, x) * 0.70710678118654752f;
    const lanes t = 1.0f / (a * 0.5f + 1.0f);
    lanes p = t * 0.17087277f - 0.82215223f;
    p = p * t + 1.48851587f;
    p = p * t - 1.13520398f;
    p = p * t + 0.27886807f;
    p = p * t - 0.18628806f;
    p = p * t + 0.09678418f;
    p = p * t + 0.37409196f;
    p = p * t + 1.00002368f;
    p = p * t - 1.26551223f;
    const lanes tail = t * 0.5f * exp_lanes(p - a * a);  // the probability of lying above |x|
    return x * select(x < 0.0f, tail, 1.0f - tail);
  }
};

struct Tanh {
  /// (1 + tanh(u)) / 2 = 1 / (1 + e^(-2u))
  lanes operator()(lanes x) const {
    const lanes twice = (x + x * x * x * 0.044715f) * (2 * 0.79788456080286536f);
    return x / (1.0f + exp_lanes(-twice));
  }
};

template <class Function, class To>
void row(const float* x, const float* factor, int64_t width, To* y) {
  const Function f;
  int64_t j = 0;
  for (; j + lane_count <= width; j += lane_count) {
    const lanes value = f(load(x + j));
    store_wide(y + j, factor != nullptr ? value * load(factor + j) : value);
  }
  if (j < width) {
    const int64_t left = width - j;
    const lanes value = f(load_first(x + j, left));
    store_first(y + j, factor != nullptr ? value * load_first(factor + j, left) : value, left);
  }
}

}  // namespace

void gelu_exact_row(const float* x, const float* factor, int64_t width, float* y) { row<Exact>(x, factor, width, y); }
void gelu_exact_row(const float* x, const float* factor, int64_t width, uint16_t* y) {
  row<Exact>(x, factor, width, y);
}
void gelu_tanh_row(const float* x, const float* factor, int64_t width, float* y) { row<Tanh>(x, factor, width, y); }
void gelu_tanh_row(const float* x, const float* factor, int64_t width, uint16_t* y) { row<Tanh>(x, factor, width, y); }

}  // namespace sae::SIMD_NAMESPACE
