#pragma once

#include <cstdint>
#include <vector>

#include "ops/topk_encode/encode_task.h"
#include "ops/topk_encode/topk_encode.h"

namespace sae {

/// Throws NotFinite, naming the row.
[[noreturn]] void refuse_row(int64_t row);

}  // namespace sae

namespace sae::cpu {

/// What it means: every score of the listed rows. Throws NotFinite, naming the row, where one is not finite.
template <class T>
void encode_exactly(const EncodeTask<T>& task, const std::vector<int64_t>& rows);

/// How it is fast. x and encoder are the task's, as tensors.
void encode_screened(const EncodeTask<float>& task, const Tensor& x, const Tensor& encoder,
                     const EncodeOptions& options);

}  // namespace sae::cpu
