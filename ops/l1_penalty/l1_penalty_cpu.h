#pragma once

#include <cstdint>

#include "engine/layout.h"

namespace sae::cpu {

/// The sum over rows of (sum of |values|) * weights[row]; `entries` says which values are a row's.
template <class T>
double weighted_magnitudes(const SparseRows& entries, const T* values, const double* weights);

/// out = sign(values) * weights[row].
template <class T>
void weighted_signs(const SparseRows& entries, const T* values, const double* weights, T* out);

}  // namespace sae::cpu
