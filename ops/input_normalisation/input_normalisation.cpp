#include "ops/input_normalisation/input_normalisation.h"

#include <algorithm>

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/input_normalisation/input_normalisation_cpu.h"
#include "ops/input_normalisation/input_normalisation_cuda.h"

namespace sae {
namespace {

template <class T>
void normalise_on_cpu(const Tensor& x, InputNormalisation how, T* y, T* mean, T* norm) {
  const int64_t width = x.cols();
  std::copy_n(x.data<T>(), x.elements(), y);
  parallel_for(x.rows(), grain_for(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      cpu::normalise_row(y + row * width, width, how, mean + row, norm + row);
    }
  });
}

template <class T>
void denormalise_on_cpu(const Tensor& y, const T* mean, const T* norm, T* x) {
  const int64_t width = y.cols();
  parallel_for(y.rows(), grain_for(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t at = row * width; at < (row + 1) * width; ++at) x[at] = y.data<T>()[at] * norm[row] + mean[row];
    }
  });
}

}  // namespace

std::string_view name_of(InputNormalisation how) {
  switch (how) {
    case InputNormalisation::none:
      return "none";
    case InputNormalisation::unit_norm:
      return "unit norm";
    case InputNormalisation::centred_unit_norm:
      return "mean over the width removed, unit norm";
  }
  fail("input normalisation: unknown value {}", static_cast<int>(how));
}

InputNormalisation parse_input_normalisation(std::string_view text) {
  for (const InputNormalisation how :
       {InputNormalisation::none, InputNormalisation::unit_norm, InputNormalisation::centred_unit_norm}) {
    if (text == name_of(how)) return how;
  }
  fail("input normalisation: expected '{}', '{}' or '{}', got '{}'", name_of(InputNormalisation::none),
       name_of(InputNormalisation::unit_norm), name_of(InputNormalisation::centred_unit_norm), text.substr(0, 60));
}

NormalisedRows normalise(const Tensor& x, InputNormalisation how) {
  Device& device = x.device();
  Writable rows = Tensor::empty(device, {x.rows(), x.cols()}, x.dtype());
  Writable mean = Tensor::empty(device, {x.rows()}, x.dtype());
  Writable norm = Tensor::empty(device, {x.rows()}, x.dtype());
  visit_real("normalise", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T *y = rows.data<T>(), *means = mean.data<T>(), *norms = norm.data<T>();
    switch (device.kind()) {
      case DeviceKind::cpu:
        return normalise_on_cpu(x, how, y, means, norms);
      case DeviceKind::simt:
      case DeviceKind::cuda:
        if (x.rows() == 0) return;
        SIMT_CALL(device.kind(), normalise_input, device.stream(), x.data<T>(), x.rows(), x.cols(),
                  how == InputNormalisation::centred_unit_norm, how != InputNormalisation::none, y, means, norms);
    }
  });
  return {std::move(rows).freeze(), std::move(mean).freeze(), std::move(norm).freeze()};
}

Tensor denormalise(const Tensor& y, const Tensor& mean, const Tensor& norm) {
  CHECK(mean.elements() == y.rows() && norm.elements() == y.rows(), "denormalise: {} rows, {} means, {} norms",
        y.rows(), mean.elements(), norm.elements());
  CHECK(mean.dtype() == y.dtype() && norm.dtype() == y.dtype(), "denormalise: rows {}, means {}, norms {}; one dtype",
        y.describe(), mean.describe(), norm.describe());
  require_same_device("denormalise", {&y, &mean, &norm});
  Device& device = y.device();
  Writable x = Tensor::empty(device, y.shape(), y.dtype());
  visit_real("denormalise", y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    switch (device.kind()) {
      case DeviceKind::cpu:
        return denormalise_on_cpu(y, mean.data<T>(), norm.data<T>(), x.data<T>());
      case DeviceKind::simt:
      case DeviceKind::cuda:
        if (y.elements() == 0) return;
        SIMT_CALL(device.kind(), denormalise_input, device.stream(), y.data<T>(), mean.data<T>(), norm.data<T>(),
                  y.rows(), y.cols(), x.data<T>());
    }
  });
  return std::move(x).freeze();
}

void normalise_in_place(float* x, int64_t rows, int64_t width, InputNormalisation how) {
  float mean = 0, norm = 0;
  for (int64_t row = 0; row < rows; ++row) cpu::normalise_row(x + row * width, width, how, &mean, &norm);
}

}  // namespace sae
