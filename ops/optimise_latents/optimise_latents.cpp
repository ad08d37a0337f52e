#include "ops/optimise_latents/optimise_latents.h"

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/adam/adam_device.h"
#include "ops/adam/adam_rows.h"

namespace sae {
namespace {

template <class T>
void step_latents(const std::vector<LatentMatrix>& matrices, const std::vector<AdamRows<T>>& open,
                  const RowsWritten& written) {
  const auto step_block = [&](int64_t begin, int64_t end) {
    std::vector<RowScratch<T>> scratch;
    for (const AdamRows<T>& matrix : open) scratch.emplace_back(matrix.width);
    // One matrix after the other within the block: its rows are then one stretch of memory, which the processor reads
    // ahead of its own accord. Going from matrix to matrix for each latent takes a third longer.
    for (size_t i = 0; i < open.size(); ++i) {
      for (int64_t latent = begin; latent < end; ++latent) {
        if (!open[i].step(latent, scratch[i])) {
          fail_not_finite(matrices[i].parameter, latent, matrices[i].state.step);
        }
      }
    }
    if (written) written(begin, end);
  };
  parallel_for(matrices.front().parameter.value().rows(), latent_block, step_block, Deal::to_the_free);
}

/// Opens the matrices one inside the other, since a parameter is writable only within its update().
template <class T>
void open_and_step(const std::vector<LatentMatrix>& matrices, const AdamOptions& options, const RowsWritten& written,
                   std::vector<AdamRows<T>>& open) {
  if (open.size() == matrices.size()) return step_latents<T>(matrices, open, written);
  const LatentMatrix& next = matrices[open.size()];
  with_adam_rows<T>(next.parameter, next.state, options, next.constraint, next.average, [&](const AdamRows<T>& rows) {
    open.push_back(rows);
    open_and_step<T>(matrices, options, written, open);
  });
}

/// The kernels of adam_step are this op's: each makes one pass over the latents of its matrix.
void step_on_device(const std::vector<LatentMatrix>& matrices, const AdamOptions& options, const RowsWritten& written) {
  for (const LatentMatrix& matrix : matrices) {
    on_device::adam_step(matrix.parameter, matrix.state, options, matrix.constraint, matrix.average);
  }
  if (written) written(0, matrices.front().parameter.value().rows());
}

}  // namespace

void optimise_latents(const std::vector<LatentMatrix>& matrices, const AdamOptions& options,
                      const RowsWritten& written) {
  CHECK(!matrices.empty(), "optimise_latents: no matrix was given");
  const Tensor& first = matrices.front().parameter.value();
  for (const LatentMatrix& matrix : matrices) {
    const Tensor& value = matrix.parameter.value();
    CHECK(value.rows() == first.rows() && value.dtype() == first.dtype(),
          "optimise_latents: '{}' is {}, beside {}; expected a row for each latent, in one dtype",
          matrix.parameter.name(), value.describe(), first.describe());
  }
  if (first.device().kind() != DeviceKind::cpu) return step_on_device(matrices, options, written);
  visit_real("optimise_latents", first.dtype(), [&](auto zero) {
    std::vector<AdamRows<decltype(zero)>> open;
    open_and_step(matrices, options, written, open);
  });
}

}  // namespace sae
