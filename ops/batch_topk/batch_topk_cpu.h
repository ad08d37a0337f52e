#pragma once

#include <cstdint>

namespace sae::cpu {

/// Of count values, the last of the `wanted` largest, and up to which position values equal to it are among them:
/// value[i] is chosen where it is above `value`, or equal to it with i <= last_tie.
template <class T>
struct Cut {
  T value = 0;
  int64_t last_tie = 0;
  int64_t not_finite = -1;  ///< position of a NaN or an infinity, if there is one
};
/// 1 <= wanted <= count.
template <class T>
Cut<T> cut_of_largest(const T* values, int64_t count, int64_t wanted);

}  // namespace sae::cpu
