#include "ops/kl_divergence/kl_divergence.h"

#include "engine/error.h"
#include "engine/forward_only.h"
#include "engine/parallel.h"
#include "ops/kl_divergence/kl_divergence_cpu.h"

namespace sae {
namespace {

float row_divergence(const float* p, const float* q, int64_t count) { return cpu::fast_kl_divergence(p, q, count); }
double row_divergence(const double* p, const double* q, int64_t count) { return cpu::kl_divergence(p, q, count); }

}  // namespace

Tensor kl_divergence(const Variable& p, const Variable& q) {
  const Tensor& from = require_constant("kl_divergence", p);
  const Tensor& to = require_constant("kl_divergence", q);
  CHECK(from.dtype() == to.dtype() && from.rows() == to.rows() && from.cols() == to.cols() && from.cols() > 0,
        "kl_divergence: expected two tensors of one dtype and shape, got {} and {}", from.describe(), to.describe());
  if (from.device().kind() != DeviceKind::cpu) refuse_device("kl_divergence", from.device().kind());
  const int64_t classes = from.cols();
  Writable divergence = Tensor::empty(from.device(), {from.rows()}, from.dtype());
  visit_real("kl_divergence", from.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = divergence.data<T>();
    parallel_for(from.rows(), grain_for(classes), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        out[r] = row_divergence(from.data<T>() + r * classes, to.data<T>() + r * classes, classes);
      }
    });
  });
  return std::move(divergence).freeze();
}

}  // namespace sae
