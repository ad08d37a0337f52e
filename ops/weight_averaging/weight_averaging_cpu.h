#pragma once

#include <cstdint>

namespace sae::cpu {

/// average = decay average + fraction value, where fraction is 1 - decay.
template <class T>
void average_in(const T* value, T decay, T fraction, T* average, int64_t count);

/// out = scale average
template <class T>
void scaled(const T* average, T scale, T* out, int64_t count);

}  // namespace sae::cpu
