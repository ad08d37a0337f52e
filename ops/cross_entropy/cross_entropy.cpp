#include "ops/cross_entropy/cross_entropy.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/cross_entropy/cross_entropy_cpu.h"

namespace sae {
namespace {

float row_log_sum_exp(const float* x, int64_t count) { return cpu::fast_log_sum_exp(x, count); }
double row_log_sum_exp(const double* x, int64_t count) { return cpu::log_sum_exp(x, count); }

}  // namespace

Tensor cross_entropy(const Variable& x, const Tensor& target) {
  const Tensor& logits = require_constant("cross_entropy", x);
  CHECK(target.dtype() == Dtype::i32 && target.elements() == logits.rows(),
        "cross_entropy: expected one i32 target a row of {}, got {}", logits.describe(), target.describe());
  if (logits.device().kind() != DeviceKind::cpu) refuse_device("cross_entropy", logits.device().kind());
  const int64_t classes = logits.cols();
  const int32_t* wanted = target.data<int32_t>();
  Writable loss = Tensor::empty(logits.device(), {logits.rows()}, logits.dtype());
  visit_real("cross_entropy", logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* in = logits.data<T>();
    T* out = loss.data<T>();
    parallel_for(logits.rows(), grain_for(classes), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        out[r] = 0;
        if (wanted[r] == no_target) continue;
        CHECK(0 <= wanted[r] && wanted[r] < classes, "cross_entropy: target {} of row {} with {} classes", wanted[r], r,
              classes);
        out[r] = row_log_sum_exp(in + r * classes, classes) - in[r * classes + wanted[r]];
      }
    });
  });
  return std::move(loss).freeze();
}

}  // namespace sae
