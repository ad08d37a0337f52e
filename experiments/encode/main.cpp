// Shows what a trained autoencoder sees in a text: the latents of every token.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "engine/error.h"
#include "engine/files/json.h"
#include "experiments/common/device_option.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "experiments/common/subject.h"
#include "experiments/encode/latent_rows.h"
#include "experiments/harvest/contexts.h"
#include "experiments/harvest/import_matrix.h"
#include "experiments/tokenize/printable.h"
#include "models/language_model/language_model.h"

namespace sae {
namespace {

constexpr const char* description =
    R"(Turns text, or a matrix of activations, into the latents of a trained autoencoder.

The strongest latents of each token go to the screen, one line a token; --output stores all of them as compressed rows
in a safetensors file. The model runs as it did in the harvest: the autoencoder knows block, site and context length.
Position 0 of a context is an attention sink in many models and is left out of training; it is marked with *.

  encode --sae runs/topk32/autoencoder.safetensors --prompt "The capital of France is Paris"
  encode --sae runs/topk32/autoencoder.safetensors --text book.txt --output latents.safetensors)";

void declare(Options& options) {
  options.text("sae", "FILE", "the autoencoder, as train saves it");
  options.group("What is encoded");
  options.text("prompt", "TEXT", "a short text: one context, or more where it is longer than --context");
  options.text("text", "PATH", "a .jsonl file of documents, a text file, or a folder of them, in whole contexts");
  options.text("import", "FILE", "no model: the rows of a matrix, .npy or .safetensors");
  options.text("tensor", "NAME", "with --import: which tensor of a .safetensors file");
  options.integer("rows", 0, "N", "stop after N rows; 0: all");
  options.group("What comes out");
  options.text("output", "FILE", "all latents, as safetensors");
  options.flag("overwrite", "replace it");
  options.integer("top", 10, "N", "strongest latents on the screen");
  options.integer("show", 100, "N", "tokens on the screen");
  options.group("With which model, and where");
  options.integer("layer", "N", "after which block (default: the autoencoder's)");
  options.text("site", "SITE", "resid_post, resid_mid, mlp_out, attn_out or mlp_hidden (default: the autoencoder's)");
  options.integer("context", "N", "tokens in a context (default: the autoencoder's, or 64)");
  declare_beginning(options, "every context of text");
  declare_model(options);
  declare_device(options);
}

/// Runs whole contexts of one length through the model, a few at a time, until `limit` rows are there.
class ContextEncoder {
 public:
  ContextEncoder(const LanguageModel& model, SitePlace place, int64_t limit, LatentRows& latents)
      : model_(model), place_(place), limit_(limit), latents_(latents) {}

  bool is_full() const { return latents_.rows() >= limit_; }

  void add(std::span<const int32_t> ids, int64_t length) {
    const int64_t wanted = std::min(static_cast<int64_t>(ids.size()), limit_ - latents_.rows());
    const int64_t whole = (wanted + length - 1) / length * length;
    const Tensor rows =
        model_.activations(model_.tokens(ids.first(static_cast<size_t>(whole))), length, {&place_, 1})[0];
    TokenPlaces places;
    places.ids.assign(ids.begin(), ids.begin() + wanted);
    for (int64_t row = 0; row < wanted; ++row) places.positions.push_back(static_cast<int32_t>(row % length));
    latents_.add(rows.slice_rows(0, wanted), places);
  }

 private:
  const LanguageModel& model_;
  SitePlace place_;
  int64_t limit_;
  LatentRows& latents_;
};

constexpr int64_t contexts_at_once = 16;

void encode_prompt(const std::string& prompt, LanguageModel& model, int64_t length, bool beginning,
                   ContextEncoder& encoder) {
  const std::vector<int32_t> ids = model.tokenizer().encode(prompt);
  CHECK(!ids.empty(), "--prompt: the text is empty");
  CHECK(!beginning || length > 1, "--bos: a context of 1 has no room for text beside the beginning token");
  std::span<const int32_t> rest = ids;
  while (!rest.empty() && !encoder.is_full()) {
    const auto taken = std::min(rest.size(), static_cast<size_t>(beginning ? length - 1 : length));
    std::vector<int32_t> context;
    if (beginning) context.push_back(model.tokenizer().beginning_of_text());
    context.insert(context.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(taken));
    encoder.add(context, static_cast<int64_t>(context.size()));
    rest = rest.subspan(taken);
  }
}

void encode_text(const std::string& path, LanguageModel& model, int64_t length, bool beginning,
                 ContextEncoder& encoder) {
  const auto source = text_contexts(read_documents(path), model.tokenizer(), length, beginning);
  while (!encoder.is_full()) {
    const ContextBatch batch = source->next(contexts_at_once);
    if (batch.ids.empty()) return;
    encoder.add(batch.ids, length);
  }
}

void encode_matrix(const Options& options, int64_t limit, Device& device, LatentRows& latents) {
  const ImportedMatrix matrix(options.get_text("import"), options.given("tensor") ? options.get_text("tensor") : "",
                              device);
  constexpr int64_t at_once = 1024;
  const int64_t count = std::min(limit, matrix.rows());
  for (int64_t begin = 0; begin < count; begin += at_once) {
    latents.add(matrix.read(begin, std::min(count, begin + at_once)), {});
  }
}

void print_strongest(const LatentRows& latents, Tokenizer* tokenizer, int64_t top, int64_t show) {
  for (int64_t row = 0; row < std::min(show, latents.rows()); ++row) {
    std::string line = fmt::format("{:>6}", row);
    if (tokenizer != nullptr) {
      const auto i = static_cast<size_t>(row);
      const std::string piece = Json(printable(tokenizer->piece(latents.places().ids[i]))).dump();
      line += fmt::format("{} {:<16}", latents.places().positions[i] == 0 ? '*' : ' ', piece);
    }
    for (const auto& [latent, value] : latents.strongest(row, top)) line += fmt::format("  {}:{:.3f}", latent, value);
    fmt::print("{}\n", line);
  }
  if (show > 0 && latents.rows() > show) fmt::print("... {} rows more (--show)\n", latents.rows() - show);
}

void encode_tokens(const Options& options, const LoadedAutoencoder& loaded, LanguageModel& model, int64_t limit,
                   LatentRows& latents) {
  Subject subject = subject_of(loaded, model);
  if (!subject.model.empty() && subject.model != model.title()) {
    fmt::print(stderr, "warning: the autoencoder was trained on '{}', this model is '{}'\n", subject.model,
               model.title());
  }
  const int64_t blocks = model.sizes().layers;
  if (options.given("layer")) subject.place.layer = options.get_integer("layer", 0, blocks - 1);
  CHECK(0 <= subject.place.layer && subject.place.layer < blocks, "the autoencoder is of block {}, the model has {}",
        subject.place.layer, blocks);
  if (options.given("site")) subject.place.site = parse_site(options.get_text("site"));
  if (options.given("context")) subject.context_length = options.get_integer("context", 1, model.sizes().context);
  ContextEncoder encoder(model, subject.place, limit, latents);
  const bool beginning = wants_beginning(options, model.tokenizer(), subject.beginning);
  if (options.given("prompt")) {
    encode_prompt(options.get_text("prompt"), model, subject.context_length, beginning, encoder);
  } else {
    encode_text(options.get_text("text"), model, subject.context_length, beginning, encoder);
  }
}

int show_latents(const Options& options) {
  apply_threads(options);
  const int inputs = options.given("prompt") + options.given("text") + options.given("import");
  CHECK(inputs == 1, "give one of --prompt, --text and --import");
  const std::string output = options.given("output") ? options.get_text("output") : "";
  const IfExists if_exists = options.get_flag("overwrite") ? IfExists::replace : IfExists::refuse;
  CHECK(output.empty() || if_exists == IfExists::replace || !std::filesystem::exists(output),
        "{}: exists already; give another --output, or --overwrite", output);
  const auto device = open_device(options);
  const std::string sae_path = options.get_text("sae");
  const LoadedAutoencoder loaded = load_autoencoder(sae_path, *device);
  const int64_t rows = options.get_integer("rows", 0, INT64_MAX);
  const int64_t limit = rows > 0 ? rows : INT64_MAX;

  LatentRows latents(loaded.autoencoder);
  std::optional<LanguageModel> model;
  if (options.given("import")) {
    encode_matrix(options, limit, *device, latents);
  } else {
    model.emplace(LanguageModel::load(model_path(options), *device, model_precision(options)));
    encode_tokens(options, loaded, *model, limit, latents);
  }
  print_strongest(latents, model ? &model->tokenizer() : nullptr, options.get_integer("top", 0, 1 << 20),
                  options.get_integer("show", 0, INT64_MAX));
  if (!output.empty()) latents.write(output, {{"sae", sae_path}, {"options", options.effective()}}, if_exists);
  fmt::print(stderr, "{} rows, {:.2f} latents a row{}\n", latents.rows(),
             static_cast<double>(latents.stored()) / static_cast<double>(std::max<int64_t>(1, latents.rows())),
             output.empty() ? "" : "; stored in " + output);
  return 0;
}

}  // namespace
}  // namespace sae

int main(int argc, char** argv) {
  sae::Options options("encode", sae::description);
  sae::declare(options);
  return sae::run_program(options, argc, argv, [&] { return sae::show_latents(options); });
}
