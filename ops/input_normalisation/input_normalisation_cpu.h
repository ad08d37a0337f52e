#pragma once

#include <cmath>
#include <cstdint>

#include "ops/input_normalisation/input_normalisation.h"

namespace sae::cpu {

/// One row in place. Sums in double: the mean of a residual stream is small beside its few massive channels.
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

}  // namespace sae::cpu
