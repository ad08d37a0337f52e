#include "experiments/common/training_memory.h"

#include "engine/error.h"

namespace sae {

int64_t training_memory(const AutoencoderOptions& model, const TrainingOptions& training) {
  constexpr int64_t bytes = sizeof(float);
  const int64_t weights = 2 * model.latents * model.width;  // encoder and decoder
  const int64_t copies = training.averaging ? 4 : 3;        // with two moments
  const int64_t rows = training.batch_size;
  // Pre-activations before and after the bias; where latents may be dense, they and two gradients as well. The fused
  // topk writes none of these.
  const bool sparse = facts_of(model.activation).chooses_k;
  const int64_t wide = !sparse ? 6 : training.fused && model.activation == Activation::topk ? 0 : 2;
  // x, x - b_pre, reconstruction before and after b_pre, residual, and gradients.
  constexpr int64_t narrow = 8;
  const int64_t gradients = sparse ? 0 : weights;
  return bytes * (copies * weights + gradients + rows * (wide * model.latents + narrow * model.width));
}

void require_memory(DeviceKind device, std::optional<int64_t> free, int64_t needed) {
  constexpr double gib = 1024.0 * 1024.0 * 1024.0;
  CHECK(!free || needed <= *free,
        "device {}: this needs about {:.1f} GiB of memory, of which {:.1f} are free; lower --batch-size or --latents, "
        "or train fewer runs at a time",
        name_of(device), static_cast<double>(needed) / gib, static_cast<double>(*free) / gib);
}

}  // namespace sae
