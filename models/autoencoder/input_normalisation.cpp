#include "models/autoencoder/input_normalisation.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/parallel.h"

namespace sae {
namespace {

/// Sums in double: the mean of a residual stream is small beside its few massive channels.
template <class T>
void normalise_row(T* values, int64_t width, InputNormalisation how, T* mean, T* norm) {
  if (how == InputNormalisation::none) {
    *mean = 0;
    *norm = 1;
    return;
  }
  double sum = 0;
  for (int64_t i = 0; i < width && how == InputNormalisation::centred_unit_norm; ++i) {
    sum += static_cast<double>(values[i]);
  }
  const T centre = static_cast<T>(sum / static_cast<double>(width));
  double squares = 0;
  for (int64_t i = 0; i < width; ++i) {
    values[i] -= centre;
    squares += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  const T length = static_cast<T>(std::sqrt(squares));
  const T scale = length > 0 ? 1 / length : T{0};
  for (int64_t i = 0; i < width; ++i) values[i] *= scale;
  *mean = centre;
  *norm = length;
}

NormalisedRows normalise_on_cpu(const Tensor& x, InputNormalisation how) {
  Writable rows = Tensor::empty(x.device(), {x.rows(), x.cols()}, x.dtype());
  Writable mean = Tensor::empty(x.device(), {x.rows()}, x.dtype());
  Writable norm = Tensor::empty(x.device(), {x.rows()}, x.dtype());
  visit_real("normalise", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    std::copy_n(x.data<T>(), x.elements(), rows.data<T>());
    T *values = rows.data<T>(), *means = mean.data<T>(), *norms = norm.data<T>();
    parallel_for(x.rows(), grain_for(x.cols()), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        normalise_row(values + row * x.cols(), x.cols(), how, means + row, norms + row);
      }
    });
  });
  return {std::move(rows).freeze(), std::move(mean).freeze(), std::move(norm).freeze()};
}

Tensor denormalise_on_cpu(const Tensor& y, const Tensor& mean, const Tensor& norm) {
  Writable out = Tensor::empty(y.device(), y.shape(), y.dtype());
  visit_real("denormalise", y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t row = 0; row < y.rows(); ++row) {
      for (int64_t i = 0; i < y.cols(); ++i) {
        out.data<T>()[row * y.cols() + i] = y.data<T>()[row * y.cols() + i] * norm.data<T>()[row] + mean.data<T>()[row];
      }
    }
  });
  return std::move(out).freeze();
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
  if (device.kind() == DeviceKind::cpu) return normalise_on_cpu(x, how);
  const auto host = Device::open(DeviceKind::cpu);
  const NormalisedRows normalised = normalise_on_cpu(x.to(*host), how);
  return {normalised.rows.to(device), normalised.mean.to(device), normalised.norm.to(device)};
}

Tensor denormalise(const Tensor& y, const Tensor& mean, const Tensor& norm) {
  CHECK(mean.elements() == y.rows() && norm.elements() == y.rows(), "denormalise: {} rows, {} means, {} norms",
        y.rows(), mean.elements(), norm.elements());
  Device& device = y.device();
  if (device.kind() == DeviceKind::cpu) return denormalise_on_cpu(y, mean, norm);
  const auto host = Device::open(DeviceKind::cpu);
  return denormalise_on_cpu(y.to(*host), mean.to(*host), norm.to(*host)).to(device);
}

void normalise_in_place(float* x, int64_t rows, int64_t width, InputNormalisation how) {
  float mean = 0, norm = 0;
  for (int64_t row = 0; row < rows; ++row) normalise_row(x + row * width, width, how, &mean, &norm);
}

}  // namespace sae
