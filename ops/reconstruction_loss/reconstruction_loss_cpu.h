#pragma once

#include "ops/reconstruction_loss/reconstruction_task.h"

namespace sae::cpu {

/// Fills the residuals and, where asked, the products; returns the sum of the residuals' squares.
template <class T>
double reconstruct(const ReconstructionTask<T>& task);

}  // namespace sae::cpu
