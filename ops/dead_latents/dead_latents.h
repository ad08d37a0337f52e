#pragma once

#include <vector>

#include "engine/gradient.h"
#include "ops/matmul/matmul.h"

namespace sae {

// AuxK (Gao et al., A.2) in a step for which nobody waits, on simt and cuda: which latents are dead is counted and
// listed on the device, and the host never learns how many. On the cpu, and in a step on a tape, models/autoencoder
// composes the same from gather_rows, matmul, topk and batch_normalised_mse.

/// Counts, for each latent, the rows since it last fired, and lists the dead.
class DeadLatents {
 public:
  /// Goes on from these counts. At most `capacity` latents are listed, the lowest ones, whatever their number.
  DeadLatents(Device& device, const std::vector<int64_t>& rows_since_fired, int64_t dead_after, int64_t capacity);

  /// Brings listed() up to date; *dead (in memory of the device) is how many there are in all.
  void list(int* dead);
  /// i32 [capacity]: the dead latents, ascending, then the number of all latents in the places that are left.
  const Tensor& listed() const { return listed_; }
  int64_t capacity() const { return listed_.elements(); }

  /// Takes in a step's latents, f32 row-sparse: one fires in a row where it is above `above`. Adds the firings to
  /// *active.
  void count(const RowSparse& latents, float above, int* active);
  /// A copy on the host; waits.
  std::vector<int64_t> rows_since_fired() const { return rows_since_fired_.to_vector<int64_t>(); }

 private:
  Tensor rows_since_fired_;  // i64 [latents], written in place
  Tensor listed_;            // i32 [capacity], written in place
  int64_t dead_after_;
};

/// What the auxiliary loss reads, f32: E, D [latents, width], b_enc [latents]; x - b_pre and y - x [rows, width], and
/// the latter's column_sum.
struct AuxiliaryInputs {
  const Tensor &encoder, &encoder_bias, &decoder, &centred, &residual, &residual_sums;
  const Tensor& listed;  // of DeadLatents
  int64_t k;             // k_aux
  double weight;         // of the loss, for the gradients
  Precision precision;   // of the products
};

/// The gradients at the listed rows and of b_pre [1, width]; the loss [1] is without its weight.
struct AuxiliaryGradients {
  Tensor loss;
  RowsGradient encoder, encoder_bias, decoder;
  Tensor pre_bias;
};

/// With E', b', D' the listed rows, c = x - b_pre and r = y - x:
///   a = relu(k largest of c E'^T + b'),  e = a D' + r,  loss = mean e^2 / variance of r about its columns' means
///   g = weight 2 e / (elements variance)
///   dD' = a^T g,  da = g D'^T where a > 0,  dE' = da^T c,  db' = column sum of da,
///   db_pre = column sum of g - (column sum of da) E'
/// r is a constant. Where it does not vary, and where nobody is listed, loss and gradients are 0. Waits for nothing.
AuxiliaryGradients auxiliary_gradients(const AuxiliaryInputs& in);

}  // namespace sae
