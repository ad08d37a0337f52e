#pragma once

#include <cmath>
#include <cstdint>

#include "ops/adam/adam.h"

namespace sae {

/// The numbers that are the same for all elements of one step.
template <class T>
struct AdamFactors {
  T beta1, one_minus_beta1;
  T beta2, one_minus_beta2;
  T step_size;        // learning_rate / (1 - beta1^t)
  T root_correction;  // 1 / sqrt(1 - beta2^t)
  T epsilon;
};

template <class T>
AdamFactors<T> adam_factors(const AdamOptions& options, int64_t step) {
  const auto t = static_cast<double>(step);
  return {static_cast<T>(options.beta1),
          static_cast<T>(1 - options.beta1),
          static_cast<T>(options.beta2),
          static_cast<T>(1 - options.beta2),
          static_cast<T>(options.learning_rate / (1 - std::pow(options.beta1, t))),
          static_cast<T>(1 / std::sqrt(1 - std::pow(options.beta2, t))),
          static_cast<T>(options.epsilon)};
}

}  // namespace sae
