#pragma once

#include <string>
#include <string_view>

#include "models/autoencoder/autoencoder_file.h"

namespace sae {

/// Folders that other projects' own loaders read.
enum class ExportFormat { saelens, sparsify };

std::string_view name_of(ExportFormat format);
/// Parses "saelens" or "sparsify"; throws, listing the choices, on anything else.
ExportFormat parse_export_format(std::string_view text);

/// Writes cfg.json and the weights into a folder, which is created. The latents are the same numbers as ours.
///
/// saelens (SAELens 6: SAE.load_from_disk): "topk", "standard" for relu, "gated", "jumprelu", also with one threshold
/// for batch-topk and matryoshka; it has nothing for prolu and sigmoid. It takes the model's own activations: our
/// mean removal and unit norm are SAELens' layer_norm up to the factor sqrt(width - 1), which is folded into the
/// weights (encoder / s, decoder * s, pre_bias * s), and its output is in the model's own units.
/// sparsify (SparseCoder.load_from_disk): topk and multi-topk only. It has no normalisation of its inputs: rows must
/// have their mean over the width removed and unit norm before they are given to it; cfg.json says so.
///
/// model, layer, site and context_length are taken from the autoencoder's notes where they are there. Throws where the
/// format cannot express the autoencoder, and where the files exist and must not be replaced.
void export_autoencoder(const std::string& folder, const LoadedAutoencoder& loaded, ExportFormat format,
                        IfExists if_exists);

}  // namespace sae
