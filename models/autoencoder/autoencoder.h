#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/philox.h"
#include "engine/tape.h"
#include "models/autoencoder/activation.h"
#include "ops/input_normalisation/input_normalisation.h"
#include "ops/matmul/matmul.h"
#include "ops/topk_encode/topk_encode.h"

namespace sae {

struct AutoencoderOptions {
  int64_t width = 0;    ///< d, the width of the activations
  int64_t latents = 0;  ///< n
  Activation activation = Activation::topk;
  int64_t k = 32;      ///< active latents per row, where the activation chooses k
  double penalty = 0;  ///< weight of the sparsity penalty, where there is one (models/README.md)
  int64_t k_aux = 0;   ///< dead latents that model the error, where the activation chooses k; 0: no auxiliary loss
  double aux_weight = 1.0 / 32;
  double bandwidth = 0;       ///< width of the kernel around jump_relu's thresholds
  double target_rate = 0.05;  ///< what sigmoid's penalty wants each latent's mean to be
  double weight_decay = 0;    ///< weight of half the sum of squared weights (sigmoid)
  InputNormalisation normalisation = InputNormalisation::centred_unit_norm;  ///< what the rows x have been through
};

/// Throws, naming the option, unless 1 <= k <= latents, widths are positive, weights are not negative.
void check(const AutoencoderOptions& options);

/// The paper's choice of k_aux: the power of two nearest to half the width (Gao et al., A.2), at most the latents.
int64_t default_k_aux(int64_t width, int64_t latents);

/// Of matryoshka: the sizes of the nested dictionaries, ascending: a sixteenth, an eighth, ... all of the latents.
std::vector<int64_t> nested_sizes(int64_t latents);

/// A parameter that an activation has beyond the four that all have.
struct ExtraParameter {
  std::string_view name;
  int64_t elements = 0;
  double start = 0;  ///< its value before training
};
/// gated: "magnitude_log_scale" and "magnitude_bias" [latents]. jump_relu: "log_threshold" [latents]. batch_topk and
/// matryoshka: "threshold" [1], measured (measure_threshold) and not trained; 0 until then.
std::vector<ExtraParameter> extra_parameters(const AutoencoderOptions& options);

/// Where the encoder's rows begin.
struct EncoderStart {
  bool tied = true;              ///< along the decoder's rows; else in random directions of their own
  std::optional<double> length;  ///< of each; where it is not given, initialise() chooses
};

/// z = activation(E (x - b_pre) + b_enc), x_hat = D^T z + b_pre (Gao et al., eq. 1 and 2), on normalised rows x.
/// The parameters, found by name: "encoder" E [latents, width], "encoder_bias" b_enc [latents], "decoder" D
/// [latents, width] with rows of unit length (but for sigmoid), "pre_bias" b_pre [width], and the activation's own.
class Autoencoder {
 public:
  /// `extra`: the activation's own parameters, in the order of extra_parameters(), or none: their start values.
  Autoencoder(AutoencoderOptions options, Tensor encoder, Tensor encoder_bias, Tensor decoder, Tensor pre_bias,
              std::vector<Tensor> extra = {});

  /// Fresh parameters (Gao et al., appendix A): decoder rows in uniformly random directions, encoder rows along them
  /// (tied), b_enc zero, b_pre given. Where k is chosen, the encoder is scaled so that random unit vectors are
  /// reconstructed at their own length; else its rows keep 1 / sqrt(3), the length of the usual uniform initialisation.
  /// Encoder rows that start in directions of their own have the same length. `start` may say another length: shorter
  /// rows turn faster at the same learning rate.
  /// sigmoid: encoder and decoder rows have length sqrt(2 width / (latents + width + 1)), that of Ng's uniform one.
  static Autoencoder initialise(AutoencoderOptions options, const Tensor& pre_bias, uint64_t seed,
                                const EncoderStart& start = {});

  const AutoencoderOptions& options() const { return options_; }
  Parameter& encoder() { return encoder_; }
  Parameter& encoder_bias() { return encoder_bias_; }
  Parameter& decoder() { return decoder_; }
  Parameter& pre_bias() { return pre_bias_; }
  const Parameter& encoder() const { return encoder_; }
  const Parameter& encoder_bias() const { return encoder_bias_; }
  const Parameter& decoder() const { return decoder_; }
  const Parameter& pre_bias() const { return pre_bias_; }
  /// One of the activation's own parameters; throws where it has none of that name.
  Parameter& extra(std::string_view name);
  const Parameter& extra(std::string_view name) const;
  /// All: the four above in this order, then the activation's own.
  std::vector<Parameter*> parameters();
  std::vector<const Parameter*> parameters() const;

 private:
  AutoencoderOptions options_;
  Parameter encoder_, encoder_bias_, decoder_, pre_bias_;
  std::vector<Parameter> extra_;
};

/// How latents are stored where their number varies: the same numbers either way; compressed is faster once few are
/// active.
enum class LatentLayout { dense, compressed };

/// The parameters as they enter one pass: watched by a tape, or constants.
struct Weights {
  Variable encoder, encoder_bias, decoder, pre_bias;
  std::vector<std::pair<std::string_view, Variable>> extra;
  const Variable& named(std::string_view name) const;  ///< of extra
  static Weights watched(Tape& tape, Autoencoder& autoencoder);
  static Weights constant(const Autoencoder& autoencoder);
};

struct Pass {
  Variable latents;         ///< [rows, latents], row-sparse for topk, else as asked where the activation can
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

/// A pass as in training: the latents of batch_topk and matryoshka are chosen in the whole batch.
/// x: [rows, width] normalised rows, a constant.
Pass run(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, const PassOptions& how = {});

/// The latents and the reconstruction of rows, without a tape. Each row's latents depend on that row alone: batch_topk
/// and matryoshka apply their threshold, and throw where it was never measured.
Value encode(const Autoencoder& autoencoder, const Tensor& x, const PassOptions& how = {});
Tensor decode(const Autoencoder& autoencoder, const Value& latents);

/// The threshold that takes the batch's place once training is over (Bussmann et al. 2024): the mean over the batches
/// (each [rows, width], of the training batch's size) of the smallest positive value that is chosen in it. Stored in
/// the parameter "threshold"; does nothing for an activation that has none.
void measure_threshold(Autoencoder& autoencoder, std::span<const Tensor> batches);

/// The terms of the training loss, with their weights: first the mean squared error times mse_scale (1 / the data's
/// variance, Gao et al.), then what the activation adds to it: models/README.md has them. `dead` (i32, ascending; may
/// be empty): latents for AuxK (Gao et al., A.2).
struct TrainingLoss {
  std::vector<WeightedLoss> terms;
  std::optional<size_t> penalty;    ///< which term is the sparsity penalty
  std::optional<size_t> auxiliary;  ///< which is AuxK's, or gated's reconstruction from its gates
  Variable latents;
};
TrainingLoss training_loss(const Weights& weights, const AutoencoderOptions& options, const Tensor& x, double mse_scale,
                           const Tensor& dead, const PassOptions& how = {});

}  // namespace sae
