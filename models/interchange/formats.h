#pragma once

#include <string>
#include <string_view>

#include "models/autoencoder/autoencoder_file.h"

namespace sae {

/// Whose file or folder an autoencoder is. Latents are the same numbers in each, and so are reconstructions.
enum class AutoencoderFormat {
  sae_cpp,              ///< our own file, autoencoder.safetensors
  saelens,              ///< a folder with sae_weights.safetensors and cfg.json (SAELens 6, SAE.load_from_disk)
  sparsify,             ///< a folder with sae.safetensors and cfg.json (EleutherAI, SparseCoder.load_from_disk)
  dictionary_learning,  ///< a folder with ae.pt and config.json (load_dictionary)
  openai,               ///< a .pt file (OpenAI's sparse_autoencoder, Autoencoder.from_state_dict)
};
std::string_view name_of(AutoencoderFormat format);
/// Throws, listing the names, on anything else.
AutoencoderFormat parse_autoencoder_format(std::string_view text);
/// "sae.cpp|saelens|...", for --help.
std::string autoencoder_format_names();

/// Which format a path has, by the files that are there. Throws, saying what was looked for.
AutoencoderFormat find_autoencoder_format(const std::string& path);

/// Reads any of them; our own runs' folders too. Everything is checked: what no autoencoder here can do (transcoders,
/// skip connections, other architectures and normalisations) is refused by name, and so are tensors that the format
/// does not have.
LoadedAutoencoder read_autoencoder(const std::string& path, Device& device);

/// Writes a file (sae_cpp, openai) or a folder, which is created. Throws where the format cannot express the
/// autoencoder, and where files exist and must not be replaced.
///
/// saelens: topk and multi-topk, relu ("standard"), gated, jumprelu; batch-topk and matryoshka as jumprelu with their
/// one threshold; nothing for prolu and sigmoid. It takes the model's own activations: our normalisations are its
/// layer_norm and constant_norm_rescale up to a constant, which is folded into the weights.
/// sparsify: topk and multi-topk. dictionary_learning: those as topk, relu, gated, jumprelu, batch-topk, matryoshka.
/// Neither normalises its inputs: rows must have been through the autoencoder's input normalisation before they are
/// given to it; the configuration says through which ("sae_cpp": "input_normalisation").
/// openai: topk and multi-topk on centred rows, relu on rows as they are; the format knows nothing else.
void write_autoencoder(const std::string& path, const LoadedAutoencoder& loaded, AutoencoderFormat format,
                       IfExists if_exists);

}  // namespace sae
