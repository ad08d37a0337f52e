#pragma once

#include <cstdint>

#include "engine/stream.h"

namespace sae {

// What normalised_mse_cpu.h computes. Functions that return a number wait for it.

/// The sum over i < count of (a[i] - b[i])^2.
SIMT_DECLARE(template <class T> double squared_difference(Device& device, const T* a, const T* b, int64_t count))

/// out[i] = factor * (a[i] - b[i]).
SIMT_DECLARE(template <class T>
             void scaled_difference(const Stream& stream, const T* a, const T* b, T factor, T* out, int64_t count))

/// Of x [rows, cols]: the sum of (x - column mean)^2, and the sum of x^2.
SIMT_DECLARE(template <class T> void square_sums(Device& device, const T* x, int64_t rows, int64_t cols,
                                                 double& about_mean, double& about_zero))

/// The sum over rows of |a - b|^2 / |b|^2; the first row where b is zero, if any, goes to zero_row (else -1).
SIMT_DECLARE(template <class T> double relative_squares(Device& device, const T* a, const T* b, int64_t rows,
                                                        int64_t cols, int64_t& zero_row))

}  // namespace sae
