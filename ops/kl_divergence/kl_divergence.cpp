#include "ops/kl_divergence/kl_divergence.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/kl_divergence/kl_divergence_cpu.h"
#include "ops/kl_divergence/kl_divergence_cuda.h"

namespace sae {
namespace {

float row_divergence(const float* p, const float* q, int64_t count) { return cpu::fast_kl_divergence(p, q, count); }
double row_divergence(const double* p, const double* q, int64_t count) { return cpu::kl_divergence(p, q, count); }

template <class T>
void kl_divergence_on_cpu(const T* p, const T* q, T* out, int64_t rows, int64_t classes) {
  parallel_for(rows, grain_for(classes), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) out[r] = row_divergence(p + r * classes, q + r * classes, classes);
  });
}

}  // namespace

Tensor kl_divergence(const Variable& p, const Variable& q) {
  const Tensor& from = require_constant("kl_divergence", p);
  const Tensor& to = require_constant("kl_divergence", q);
  CHECK(from.dtype() == to.dtype() && from.rows() == to.rows() && from.cols() == to.cols() && from.cols() > 0,
        "kl_divergence: expected two tensors of one dtype and shape, got {} and {}", from.describe(), to.describe());
  require_same_device("kl_divergence", {&from, &to});
  Device& device = from.device();
  const int64_t rows = from.rows(), classes = from.cols();
  Writable divergence = Tensor::empty(device, {rows}, from.dtype());
  visit_real("kl_divergence", from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return kl_divergence_on_cpu(from.data<T>(), to.data<T>(), divergence.data<T>(), rows, classes);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        return SIMT_CALL(device.kind(), kl_divergence, device.stream(), from.data<T>(), to.data<T>(),
                         divergence.data<T>(), rows, classes);
    }
  });
  return std::move(divergence).freeze();
}

}  // namespace sae
