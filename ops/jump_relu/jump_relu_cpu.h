#pragma once

#include <cmath>
#include <cstdint>

#include "engine/layout.h"

namespace sae::cpu {

/// Is x within the rectangle kernel around the threshold?
template <class T>
bool near_threshold(T x, T threshold, T bandwidth) {
  return std::abs(x - threshold) < bandwidth / 2;
}

// `entries` says to which column an entry belongs; a null index stands for all columns of a dense matrix.

/// y = x unless x <= its column's threshold, else 0.
template <class T>
void jump_relu(const SparseRows& entries, const T* x, const T* threshold, T* y);

/// dx = g where x > threshold, else 0; pull = g * -threshold / bandwidth where x is near the threshold, else 0.
template <class T>
void jump_relu_backward(const SparseRows& entries, const T* x, const T* threshold, T bandwidth, const T* g, T* dx,
                        T* pull);

}  // namespace sae::cpu
