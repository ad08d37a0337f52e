#pragma once

namespace sae::cpu {

/// A row and what its step touches besides. `average` may be null; `fraction` is 1 - decay.
template <class T>
struct SteppedRow {
  T *weights, *first_moment, *second_moment, *gradient, *average;
  T decay, fraction;
};

}  // namespace sae::cpu
