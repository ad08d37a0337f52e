// Autoencoders from and to other projects.
#include <fmt/format.h>

#include "experiments/common/options.h"
#include "models/interchange/formats.h"

namespace {

using namespace sae;

constexpr const char* description =
    R"(Reads an autoencoder in any of these formats and writes it in another. Latents and reconstructions stay the same.
  sae.cpp              a file as train saves it
  saelens              a folder: SAELens 6, SAE.load_from_disk; takes the model's own activations
  sparsify             a folder: EleutherAI's sparsify, SparseCoder.load_from_disk; topk and multi-topk
  dictionary-learning  a folder: load_dictionary
  openai               a .pt file: OpenAI's Autoencoder.from_state_dict; topk on normalised rows, relu on others
sparsify and dictionary-learning do not normalise rows: what is written from here wants them normalised before, and its
configuration says how. What a format cannot express is refused.

  convert --sae runs/topk32/autoencoder.safetensors --format saelens --output saelens/topk32
  convert --sae downloads/layers.10 --format sae.cpp --output runs/layers.10.safetensors)";

int convert_saved(const Options& options) {
  const AutoencoderFormat format = parse_autoencoder_format(options.get_text("format"));
  const std::string input = options.get_text("sae"), output = options.get_text("output");
  const auto device = Device::open(DeviceKind::cpu);
  const LoadedAutoencoder loaded = read_autoencoder(input, *device);
  write_autoencoder(output, loaded, format, options.get_flag("overwrite") ? IfExists::replace : IfExists::refuse);
  const AutoencoderOptions& model = loaded.autoencoder.options();
  fmt::print("{}: {} with {} latents of width {}, input normalisation '{}', from {} to {}\n", output,
             name_of(model.activation), model.latents, model.width, name_of(model.normalisation),
             name_of(find_autoencoder_format(input)), name_of(format));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  static const std::string formats = sae::autoencoder_format_names();
  sae::Options options("convert", description);
  options.text("sae", "PATH", "the autoencoder: a file or a folder in any of the formats")
      .text("format", formats.c_str(), "to which")
      .text("output", "PATH", "where to write it: a file (sae.cpp, openai) or a folder")
      .flag("overwrite", "replace the files there");
  return sae::run_program(options, argc, argv, [&] { return convert_saved(options); });
}
