#pragma once

#include "engine/stream.h"
#include "ops/error_sums/error_task.h"

namespace sae {

/// What error_sums_cpu.h computes; the sums within a row run in the order of a warp.
SIMT_DECLARE(template <class T> void add_errors(const Stream& stream, const ErrorTask<T>& task))

}  // namespace sae
