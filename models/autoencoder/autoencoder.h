#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/philox.h"
#include "engine/tape.h"
#include "ops/matmul/matmul.h"
#include "ops/topk_encode/topk_encode.h"

namespace sae {

/// What turns pre-activations into latents; models/README.md has the table of formulas.
enum class Activation { relu, topk };

std::string_view name_of(Activation activation);
Activation parse_activation(std::string_view text);

struct AutoencoderOptions {
  int64_t width = 0;    ///< d, the width of the activations
  int64_t latents = 0;  ///< n
  Activation activation = Activation::topk;
  int64_t k = 32;     ///< active latents per row (topk)
  double l1 = 0;      ///< weight of the L1 penalty (relu)
  int64_t k_aux = 0;  ///< dead latents that model the error (topk); 0: no auxiliary loss
  double aux_weight = 1.0 / 32;
};

/// Throws, naming the option, unless 1 <= k <= latents, widths are positive, weights are not negative.
void check(const AutoencoderOptions& options);

/// The paper's choice of k_aux: the power of two nearest to half the width (Gao et al., A.2), at most the latents.
int64_t default_k_aux(int64_t width, int64_t latents);

/// z = activation(E (x - b_pre) + b_enc), x_hat = D^T z + b_pre (Gao et al., eq. 1 and 2), on normalised rows x.
/// The parameters, found by name: "encoder" E [latents, width], "encoder_bias" b_enc [latents], "decoder" D
/// [latents, width] with rows of unit length, "pre_bias" b_pre [width].
class Autoencoder {
 public:
  Autoencoder(AutoencoderOptions options, Tensor encoder, Tensor encoder_bias, Tensor decoder, Tensor pre_bias);

  /// Fresh parameters (Gao et al., appendix A): decoder rows in uniformly random directions, encoder rows along them
  /// (tied), b_enc zero, b_pre given. topk scales the encoder so that random unit vectors are reconstructed at their
  /// own length; relu keeps 1 / sqrt(3), the row length of the usual uniform initialisation.
  static Autoencoder initialise(AutoencoderOptions options, const Tensor& pre_bias, uint64_t seed);

  const AutoencoderOptions& options() const { return options_; }
  Parameter& encoder() { return encoder_; }
  Parameter& encoder_bias() { return encoder_bias_; }
  Parameter& decoder() { return decoder_; }
  Parameter& pre_bias() { return pre_bias_; }
  const Parameter& encoder() const { return encoder_; }
  const Parameter& encoder_bias() const { return encoder_bias_; }
  const Parameter& decoder() const { return decoder_; }
  const Parameter& pre_bias() const { return pre_bias_; }
  std::vector<Parameter*> parameters() { return {&encoder_, &encoder_bias_, &decoder_, &pre_bias_}; }
  std::vector<const Parameter*> parameters() const { return {&encoder_, &encoder_bias_, &decoder_, &pre_bias_}; }

 private:
  AutoencoderOptions options_;
  Parameter encoder_, encoder_bias_, decoder_, pre_bias_;
};

/// How relu's latents are stored: the same numbers either way; compressed is faster once few are active.
enum class LatentLayout { dense, compressed };

/// The parameters as they enter one pass: watched by a tape, or constants.
struct Weights {
  Variable encoder, encoder_bias, decoder, pre_bias;
  static Weights watched(Tape& tape, Autoencoder& autoencoder);
  static Weights constant(const Autoencoder& autoencoder);
};

struct Pass {
  Variable latents;         ///< [rows, latents], row-sparse for topk, else as asked
  Variable reconstruction;  ///< [rows, width]
};

struct PassOptions {
  Precision precision = Precision::f32;  ///< of dense products; topk's choice goes by `scoring`
  LatentLayout layout = LatentLayout::compressed;
  bool fused = true;                      ///< fused ops in place of their plain compositions
  Scoring scoring = Scoring::exact;       ///< of the latents among which topk chooses
  const EncoderPanels* panels = nullptr;  ///< the encoder, packed; null: packed by the pass
  EncodeCounts* encode_counts = nullptr;  ///< what choosing took
};

/// x: [rows, width] normalised rows, a constant.
Pass run(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, const PassOptions& how = {});

/// The latents and the reconstruction of rows, without a tape.
Value encode(const Autoencoder& autoencoder, const Tensor& x, const PassOptions& how = {});
Tensor decode(const Autoencoder& autoencoder, const Value& latents);

/// The terms of the training loss (Gao et al., eq. 1 and 2, A.2): mean squared error times mse_scale, relu's L1
/// penalty, and topk's auxiliary loss on `dead` (i32, ascending; may be empty), in this order. mse_scale is 1 / the
/// data's variance (Gao et al.).
struct TrainingLoss {
  std::vector<WeightedLoss> terms;
  Variable latents;
};
TrainingLoss training_loss(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, double mse_scale,
                           const Tensor& dead, const PassOptions& how = {});

}  // namespace sae
