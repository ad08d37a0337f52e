#pragma once

#include <cstdint>

namespace sae::cpu {

/// y = 1 / (1 + e^-x).
template <class T>
void sigmoid(const T* x, T* y, int64_t count);

/// out = g y (1 - y).
template <class T>
void sigmoid_backward(const T* y, const T* g, T* out, int64_t count);

}  // namespace sae::cpu
