#include "ops/cross_entropy/cross_entropy.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/cross_entropy/cross_entropy_cpu.h"
#include "ops/cross_entropy/cross_entropy_cuda.h"

namespace sae {
namespace {

float row_log_sum_exp(const float* x, int64_t count) { return cpu::fast_log_sum_exp(x, count); }
double row_log_sum_exp(const double* x, int64_t count) { return cpu::log_sum_exp(x, count); }

template <class T>
void cross_entropy_on_cpu(const T* x, const int32_t* target, T* loss, int64_t rows, int64_t classes) {
  parallel_for(rows, grain_for(classes), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* row = x + r * classes;
      loss[r] = target[r] == no_target ? T{0} : row_log_sum_exp(row, classes) - row[target[r]];
    }
  });
}

}  // namespace

Tensor cross_entropy(const Variable& x, const Tensor& target) {
  const Tensor& logits = require_constant("cross_entropy", x);
  CHECK(target.dtype() == Dtype::i32 && target.elements() == logits.rows(),
        "cross_entropy: expected one i32 target a row of {}, got {}", logits.describe(), target.describe());
  require_same_device("cross_entropy", {&logits, &target});
  const int64_t rows = logits.rows(), classes = logits.cols();
  const std::vector<int32_t> wanted = target.to_vector<int32_t>();
  for (size_t r = 0; r < wanted.size(); ++r) {
    CHECK(wanted[r] == no_target || (0 <= wanted[r] && wanted[r] < classes),
          "cross_entropy: target {} of row {} with {} classes", wanted[r], r, classes);
  }
  Device& device = logits.device();
  Writable loss = Tensor::empty(device, {rows}, logits.dtype());
  visit_real("cross_entropy", logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return cross_entropy_on_cpu(logits.data<T>(), wanted.data(), loss.data<T>(), rows, classes);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), cross_entropy, device.stream(), logits.data<T>(), target.data<int32_t>(),
                         loss.data<T>(), rows, classes);
    }
  });
  return std::move(loss).freeze();
}

}  // namespace sae
