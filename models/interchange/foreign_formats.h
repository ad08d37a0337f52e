#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/files/json.h"
#include "engine/files/safetensors.h"
#include "engine/files/torch_file.h"
#include "models/interchange/autoencoder_parts.h"

namespace sae {

/// The tensors of a foreign file, read into the memory of some parts. Each is taken once, by the name and shape that
/// the format gives it; what is left over belongs to a kind of autoencoder that is not understood.
class ForeignTensors {
 public:
  using Read = std::function<Tensor(const std::string& name)>;
  ForeignTensors(std::string file, const std::vector<std::string>& names, Read read);
  static ForeignTensors of_safetensors(const std::string& path, const AutoencoderParts& parts);
  static ForeignTensors of_torch_file(std::shared_ptr<const TorchFile> file, const AutoencoderParts& parts);

  bool has(const std::string& name) const { return names_.contains(name); }
  /// As f32. Throws, naming file and tensor, where it is missing or of another shape.
  Tensor take(const std::string& name, Shape shape);
  /// The extents of a matrix that is not taken yet.
  Shape shape_of(const std::string& name) const;
  /// A tensor that says nothing about the latents; it may be missing.
  void ignore(const std::string& name) { names_.erase(name); }
  /// Throws, naming the first tensor that was not taken: `what` has none of that name.
  void require_all_taken(std::string_view what) const;

 private:
  std::string file_;
  std::set<std::string> names_;
  Read read_;
};

/// Members of a configuration that may be missing or null.
std::string text_or(const Json& object, std::string_view key, const std::string& otherwise);
int64_t integer_or(const Json& object, std::string_view key, int64_t otherwise);
bool boolean_or(const Json& object, std::string_view key, bool otherwise);

/// What the formats have no place for, as a JSON object that their own loaders pass over: the activation, k, the input
/// normalisation, and on which activations the autoencoder was trained.
constexpr const char* own_facts_key = "sae_cpp";
Json own_facts(const AutoencoderParts& parts);
/// From the object that may hold them; without them nothing changes.
void read_own_facts(const Json& holder, AutoencoderParts& parts);
/// Of a format that does not normalise rows: none, but where the facts name what rows want to have been through.
void read_own_normalisation(const Json& holder, AutoencoderParts& parts);

/// What the layer norm of SAELens and of OpenAI makes of a row, as a constant times our centred rows of unit length:
/// they divide by the standard deviation with width - 1 in its denominator. To it they add 1e-5, which is left out
/// here: a relative difference of 1e-5 at a deviation of 1. Throws for a width of 1, which has no layer norm.
double layer_norm_length(int64_t width);

/// The hook's name in TransformerLens: "blocks.22.hook_resid_post"; a feed-forward's neurons are
/// "blocks.22.mlp.hook_post" there. "" where the notes say no place.
std::string hook_name(const Metadata& notes);
/// Adds the notes "layer" and "site" where the name is of a place that models here have.
void read_hook_name(const std::string& name, Metadata& notes);

/// ln(threshold). Thresholds of 0 and less let every positive value through, and so does the smallest positive number.
Tensor log_threshold(const Tensor& threshold);
/// Of jumprelu, batch-topk and matryoshka: e^log_threshold, or the one threshold for every latent; throws where it was
/// never measured.
Tensor thresholds(const AutoencoderParts& parts);
/// No file says what jumprelu was trained with, and only training needs it.
constexpr double unknown_bandwidth = 0.001;

/// Throws, naming the first file that exists already and must not be replaced. Creates the folder.
void prepare_folder(const std::string& folder, const std::vector<std::string>& files, IfExists if_exists);

/// One reader and one writer for each format; formats.h says what they are and what they refuse.
AutoencoderParts read_saelens(const std::string& folder);
AutoencoderParts read_sparsify(const std::string& folder);
AutoencoderParts read_dictionary_learning(const std::string& folder);
AutoencoderParts read_openai(const std::string& file);
void write_saelens(const std::string& folder, AutoencoderParts parts, IfExists if_exists);
void write_sparsify(const std::string& folder, AutoencoderParts parts, IfExists if_exists);
void write_dictionary_learning(const std::string& folder, AutoencoderParts parts, IfExists if_exists);
void write_openai(const std::string& file, AutoencoderParts parts, IfExists if_exists);

}  // namespace sae
