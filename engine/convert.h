#pragma once

#include <type_traits>

#include "engine/dtype.h"

namespace sae {

/// A floating-point element in another type, rounded to nearest; bf16 goes by way of float.
template <class From, class To>
constexpr To convert(From value) {
  if constexpr (std::is_same_v<From, bfloat16>) {
    return static_cast<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bfloat16>) {
    return bfloat16(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace sae
