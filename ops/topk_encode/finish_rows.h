#pragma once

#include <cstdint>
#include <vector>

#include "ops/topk_encode/encode_rows.h"
#include "ops/topk_encode/topk_encode_cpu.h"

namespace sae::cpu {

/// In place of the number of scores computed again: the candidates of this row did not fit, compute it whole.
constexpr int32_t not_finished = -1;

/// The k best of the candidates of rows [begin, begin + count), written to the task's outputs. With `exact` they are
/// scored again in float32, and rescored[i] becomes the number of scores that this took for row begin + i.
void finish_rows(const EncodeTask<float>& task, int64_t begin, int64_t count, const ScreenedRow* states, bool exact,
                 int32_t* rescored);

}  // namespace sae::cpu
