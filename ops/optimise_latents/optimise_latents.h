#pragma once

#include <functional>
#include <vector>

#include "ops/adam/adam.h"
#include "ops/weight_averaging/weight_averaging.h"

namespace sae {

/// A matrix [latents, width] and what its step touches besides.
struct LatentMatrix {
  Parameter& parameter;
  AdamState& state;
  RowConstraint constraint = RowConstraint::none;
  WeightAverage* average = nullptr;  // null: none is kept
};

/// Called with [begin, end) once these rows of every matrix are final, by the thread that wrote them; the ranges are
/// disjoint, cover all rows and begin at multiples of `latent_block`. For what is derived from the weights and can be
/// made while they are still in the cache, such as a packed copy. On simt and cuda it is called once, with all rows,
/// when everything that writes them is in the stream.
using RowsWritten = std::function<void(int64_t begin, int64_t end)>;
constexpr int64_t latent_block = 16;

/// The optimiser's whole work on matrices whose row j belongs to latent j (an autoencoder's encoder and decoder), in
/// one pass over the latents. For each latent and each matrix, in the order given: the gradient's row is formed from
/// the terms (deferred products over one pattern share one sort), then
///   unit_norm: projection;  Adam;  unit_norm: renormalisation;  moving average
/// exactly as adam_step followed by WeightAverage::update do it, with the same bits (Gao et al., appendix A; engine/
/// README.md on deferred products). What is saved is memory traffic: no gradient is written, and weights, moments and
/// average are read and written once, 32 bytes an element.
/// Latents are dealt to the threads as they become free, since the number of rows that use one follows no uniform law;
/// each latent's sums run in the order of the batch, so the bits do not depend on the number of threads.
/// The gradients are cleared. Throws like adam_step, and unless the matrices have equally many rows and one dtype.
void optimise_latents(const std::vector<LatentMatrix>& matrices, const AdamOptions& options,
                      const RowsWritten& written = {});

}  // namespace sae
