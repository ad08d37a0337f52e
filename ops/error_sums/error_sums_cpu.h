#pragma once

#include "ops/error_sums/error_task.h"

namespace sae::cpu {

/// Fills of_rows and adds to sums.
template <class T>
void add_errors(const ErrorTask<T>& task);

}  // namespace sae::cpu
