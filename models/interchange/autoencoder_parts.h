#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/autoencoder/autoencoder_file.h"

namespace sae {

/// An autoencoder taken apart: what the formats of other projects are read into and written from. All tensors are f32
/// on the host, in our orientation: encoder and decoder [latents, width].
struct AutoencoderParts {
  std::shared_ptr<Device> host = Device::open(DeviceKind::cpu);  ///< where the tensors lie
  AutoencoderOptions options;
  Tensor encoder, encoder_bias, decoder, pre_bias;
  std::vector<Tensor> extra;  ///< in the order of extra_parameters()
  Metadata notes;
};

AutoencoderParts take_apart(const LoadedAutoencoder& loaded);
/// Throws where sizes do not fit each other and where a number is NaN or infinite.
LoadedAutoencoder put_together(const AutoencoderParts& parts, Device& device);

/// "" where there is none of that name.
std::string note_of(const Metadata& notes, std::string_view key);

/// factor * x, in double.
Tensor scaled(const Tensor& x, double factor);
Tensor transposed(const Tensor& x);

/// Of rows x, an autoencoder of rows x / factor with the same latents: E factor, D / factor, b_pre / factor.
void scale_inputs(AutoencoderParts& parts, double factor);

/// Of latents z, an autoencoder with z factors: encoder rows, biases and thresholds times the factor, decoder rows
/// divided by it. The reconstruction stays, and so do the active latents but where they are chosen by size.
void scale_latents(AutoencoderParts& parts, const std::vector<double>& factors);

/// Where a format does not subtract b_pre from the encoder's input: E (x - b_pre) + b = E x + (b - E b_pre). `sign` is
/// 1 to read such a bias, -1 to write it. gated has two biases; prolu's cannot be moved, and is refused.
void move_pre_bias(AutoencoderParts& parts, double sign);

/// Lengths of the decoder's rows.
std::vector<double> decoder_norms(const AutoencoderParts& parts);

/// The same reconstructions with decoder rows of length 1, which training here keeps: latents are scaled. Throws where
/// the latents are chosen by size and the lengths differ by more than a thousandth, which scaling would change.
void make_decoder_unit(AutoencoderParts& parts);

}  // namespace sae
