// Writes a trained autoencoder as other projects read it.
#include <fmt/format.h>

#include "experiments/common/options.h"
#include "models/autoencoder/export.h"

namespace {

using namespace sae;

constexpr const char* description =
    "Writes a trained autoencoder as a folder that another project's own loader reads.\n"
    "  saelens   SAELens 6, SAE.load_from_disk: takes the model's own activations and gives them back in their own "
    "units\n"
    "  sparsify  EleutherAI's sparsify, SparseCoder.load_from_disk: top-k only, on rows normalised before\n"
    "Example: export --sae runs/topk32/autoencoder.safetensors --format saelens --output saelens/topk32";

int export_saved(const Options& options) {
  const ExportFormat format = parse_export_format(options.get_text("format"));
  const auto device = Device::open(DeviceKind::cpu);
  const std::string output = options.get_text("output");
  export_autoencoder(output, load_autoencoder(options.get_text("sae"), *device), format,
                     options.get_flag("overwrite") ? IfExists::replace : IfExists::refuse);
  fmt::print("{}: written for {}\n", output, name_of(format));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("export", description);
  options.text("sae", "FILE", "the autoencoder, as train saves it")
      .text("format", "saelens", "saelens|sparsify", "whose")
      .text("output", "FOLDER", "where to write it")
      .flag("overwrite", "replace the files there");
  return sae::run_program(options, argc, argv, [&] { return export_saved(options); });
}
