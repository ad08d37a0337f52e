#pragma once

#include <cstdint>

#include "engine/stream.h"
#include "ops/reconstruction_loss/reconstruction_task.h"

namespace sae {

/// Fills the residuals and, where asked, the products; loss[0] = scale * mean of the residuals' squares, or 0 where
/// there are none. Waits for nothing.
SIMT_DECLARE(template <class T>
             void reconstruct(Device& device, const ReconstructionTask<T>& task, double scale, T* loss))

/// out[i] = loss_factor(gradient[0], scale, elements) * x[i]
SIMT_DECLARE(template <class T> void scale_by_loss(const Stream& stream, const T* x, const T* gradient, double scale,
                                                   double elements, T* out, int64_t count))

}  // namespace sae
