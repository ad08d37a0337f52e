#pragma once

#include <string>

#include "engine/files/safetensors.h"
#include "models/autoencoder/autoencoder.h"
#include "models/autoencoder/trainer.h"

namespace sae {

/// A trained autoencoder on disk: one safetensors file with the tensors "encoder" [latents, width], "encoder_bias",
/// "decoder" [latents, width], "pre_bias", the activation's own (extra_parameters), and its options as metadata
/// (activation, k, penalty, k_aux, aux_weight, input_normalisation, and what else the activation needs). `notes` are
/// further metadata: what it was trained on and how, enough to repeat the run elsewhere.
void save_autoencoder(const std::string& path, const Autoencoder& autoencoder, const Metadata& notes,
                      IfExists if_exists);

struct LoadedAutoencoder {
  Autoencoder autoencoder;
  Metadata notes;  ///< all metadata of the file
};
/// Throws, naming the file and the tensor or key, on anything that save_autoencoder would not have written.
LoadedAutoencoder load_autoencoder(const std::string& path, Device& device);

/// A trainer's whole state as a safetensors file, always replaced as a whole.
void save_checkpoint(const std::string& path, const Trainer& trainer, const Metadata& notes);
/// Restores the trainer and returns the notes that were saved with it. Throws where the file is of another run.
Metadata restore_checkpoint(const std::string& path, Trainer& trainer);

}  // namespace sae
