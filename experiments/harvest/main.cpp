// Stores a language model's activations, for autoencoders to be trained on.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>
#include <vector>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "experiments/common/progress.h"
#include "experiments/harvest/harvest.h"
#include "experiments/harvest/import_matrix.h"

namespace sae {
namespace {

constexpr const char* description =
    R"(Runs text through a language model in short contexts and stores the activations of one place in it, or of several.

Documents are joined with the model's end-of-text token between them and cut into contexts of --context tokens. Every
row is stored with its token id, its position in the context and its document. Position 0 of every context is stored
too, though in many models it is an attention sink a hundred times as long as other rows: programs that read the store
leave it out unless told otherwise.

  harvest --text text/train.jsonl --tokens 600000 --output activations/train
  harvest --text text/train.jsonl --layer 6,22 --site resid_post,mlp_hidden --output activations/train
  harvest --text text/validation.jsonl --report-loss
  harvest --token-ids contexts.npy --output small.safetensors
  harvest --import activations.npy --output activations/train

With several layers or sites, the text is run once, and --output is a folder that holds a store for each of their
combinations: train/resid_post.6, train/resid_post.22, train/mlp_hidden.6 and so on. Row i is of the same token in all.

Interrupted, it keeps what is complete; --resume goes on from there, and adds to a finished store if more --tokens are
asked for.)";

void declare(Options& options) {
  options.group("What is read");
  options.text("text", "PATH",
               "a .jsonl file of documents (from prepare_text), a plain text file, or a folder of .txt and .md files");
  options.text("token-ids", "FILE.npy", "contexts as token ids instead, u16 or i32 [contexts, length]");
  options.text("import", "FILE", "no model: the rows of a matrix, .npy or .safetensors, as activations");
  options.text("tensor", "NAME", "with --import: which tensor of a .safetensors file");
  options.integer("tokens", 0, "N",
                  "how many tokens (or imported rows) to store, rounded down to whole contexts; 0: all");
  options.integer("context", 64, "N", "tokens in a context");
  options.integer("begin", 0, "N", "leave out the first N contexts (or imported rows)");
  options.group("What is stored");
  options.text("output", "PATH", "a folder for a store, or a file FILE.safetensors for small jobs");
  options.text("layer", "N,...", "in which block, counted from 0, or blocks (default: ceil(3 layers / 4) - 1)");
  options.text("site", "resid_post", "SITE,...", "resid_post, resid_mid, mlp_out, attn_out, mlp_hidden");
  options.text("dtype", "f32", "f32|bf16", "of the stored rows");
  options.text("split", "NAME", "what to call these rows in the store (default: the output's name)");
  options.flag("resume", "go on with an interrupted or shorter run");
  options.flag("overwrite", "replace what is there");
  options.group("With which model");
  declare_beginning(options, "every context of --text");
  declare_model(options);
  declare_device(options);
  options.integer("batch", 8, "N", "contexts in one forward pass; every thread runs its own");
  options.flag("report-loss", "print the mean next-token loss, by source; runs the whole model on a sample");
  options.integer("loss-tokens", 16384, "N", "the size of that sample");
}

Dtype stored_dtype(const Options& options) {
  const std::string text = options.get_text("dtype");
  CHECK(text == "f32" || text == "bf16", "--dtype: expected f32 or bf16, got '{}'", text);
  return text == "f32" ? Dtype::f32 : Dtype::bf16;
}

IfStoreExists if_exists(const Options& options) {
  const bool resume = options.get_flag("resume"), overwrite = options.get_flag("overwrite");
  CHECK(!resume || !overwrite, "--resume and --overwrite exclude each other");
  return resume ? IfStoreExists::resume : overwrite ? IfStoreExists::overwrite : IfStoreExists::refuse;
}

std::string split_name(const Options& options) {
  if (options.given("split")) return options.get_text("split");
  std::filesystem::path path(options.get_text("output"));
  if (!path.has_filename()) path = path.parent_path();
  return path.stem().string();
}

/// What identifies an input, so that --resume does not mix two: its name and size.
std::string identity(const std::string& path) {
  const std::filesystem::path file(path);
  if (!std::filesystem::is_regular_file(file)) return file.filename().string();
  return fmt::format("{}, {} bytes", file.filename().string(), std::filesystem::file_size(file));
}

/// The parts of "a,b,c".
std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts = {""};
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back().push_back(c);
    }
  }
  return parts;
}

int64_t parse_layer(const std::string& text, int64_t last) {
  int64_t layer = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), layer);
  CHECK(error == std::errc() && end == text.data() + text.size() && 0 <= layer && layer <= last,
        "--layer: expected a number from 0 to {}, got '{}'", last, text);
  return layer;
}

/// Every site in every layer that the options name.
std::vector<SitePlace> places_of(const Options& options, const LanguageModel& model) {
  std::vector<int64_t> layers = {model.default_layer()};
  if (options.given("layer")) {
    layers.clear();
    for (const std::string& text : split(options.get_text("layer"))) {
      layers.push_back(parse_layer(text, model.sizes().layers - 1));
    }
  }
  std::vector<SitePlace> places;
  for (const std::string& site : split(options.get_text("site"))) {
    for (const int64_t layer : layers) {
      const SitePlace place = {layer, parse_site(site)};
      for (const SitePlace& other : places) {
        CHECK(other.layer != place.layer || other.site != place.site, "{} of layer {} is asked for twice", site, layer);
      }
      places.push_back(place);
    }
  }
  return places;
}

int import_rows(const Options& options) {
  const auto device = Device::open(DeviceKind::cpu);
  const std::string path = options.get_text("import");
  const ImportedMatrix matrix(path, options.given("tensor") ? options.get_text("tensor") : "", *device);
  StoreDescription store;
  store.model = std::filesystem::path(path).stem().string();
  store.layer = options.given("layer") ? parse_layer(options.get_text("layer"), 1 << 20) : 0;
  store.site = options.get_text("site");
  store.split = split_name(options);
  store.dtype = stored_dtype(options);
  store.width = matrix.width();
  store.notes = {{"imported", identity(path)}};
  const auto sink = open_sink(options.get_text("output"), store, if_exists(options), options.effective());

  constexpr int64_t at_once = 1024;
  const int64_t first = options.get_integer("begin", 0, matrix.rows());
  const int64_t wanted = options.get_integer("tokens", 0, INT64_MAX);
  const int64_t count = wanted > 0 ? std::min(wanted, matrix.rows() - first) : matrix.rows() - first;
  Progress progress("import", count, "rows", sink->rows());
  while (sink->rows() < count && !interrupted()) {
    const int64_t begin = first + sink->rows();
    const Tensor rows = matrix.read(begin, std::min(first + count, begin + at_once));
    sink->append({rows.data<float>(), static_cast<size_t>(rows.elements())}, {}, {}, {});
    progress.update(sink->rows());
  }
  if (interrupted()) return 130;
  sink->finish();
  return 0;
}

std::unique_ptr<ContextSource> open_source(const Options& options, LanguageModel& model, int64_t context) {
  if (options.given("token-ids")) {
    return token_id_contexts(options.get_text("token-ids"), context, model.sizes().vocabulary);
  }
  return text_contexts(read_documents(options.get_text("text")), model.tokenizer(), context,
                       wants_beginning(options, model.tokenizer()));
}

StoreDescription describe(const Options& options, const LanguageModel& model, const HarvestOptions& harvest_options,
                          SitePlace place) {
  StoreDescription store;
  store.model = model.title();
  store.layer = place.layer;
  store.site = std::string(name_of(place.site));
  store.split = split_name(options);
  store.dtype = stored_dtype(options);
  store.width = model.width_of(place.site);
  store.context_length = harvest_options.context_length;
  const std::string input = options.get_text(options.given("text") ? "text" : "token-ids");
  store.notes = {{"model_file", identity(model_path(options))},
                 {"input", identity(input)},
                 {"first_context", std::to_string(harvest_options.first_context)},
                 {"precision", options.get_text("precision")},
                 {"documents", "counted from 0 in the input, joined with the end-of-text token between them"}};
  if (options.given("text") && wants_beginning(options, model.tokenizer())) {
    store.notes.emplace_back("beginning", "every context starts with the model's beginning-of-text token");
  }
  return store;
}

/// Prints how fast this was, and how near to what the products alone could do.
void report_speed(const LanguageModel& model, const HarvestOptions& options, const HarvestResult& result,
                  Precision precision) {
  if (result.tokens_made == 0) return;
  const auto tokens = static_cast<double>(result.tokens_made);
  const double flops = tokens * product_flops(model, options) / result.seconds;
  const double peak = product_peak(model, options, precision);
  fmt::print(
      stderr,
      "harvest: {:.0f} tokens/s through block {} ({:.0f} in the model alone); products at {:.0f} GFLOP/s, {:.0f} % of "
      "the {:.0f} that the largest of them reaches by itself\n",
      tokens / result.seconds, blocks_needed(options) - 1, tokens / result.model_seconds, flops * 1e-9,
      100 * flops / peak, peak * 1e-9);
}

/// One output for one place; for several, one for each in a folder.
std::vector<std::unique_ptr<RowSink>> open_sinks(const Options& options, const LanguageModel& model,
                                                 const HarvestOptions& harvest_options) {
  const std::string output = options.get_text("output");
  const bool several = harvest_options.places.size() > 1;
  CHECK(!several || !output.ends_with(".safetensors"),
        "--output: several layers or sites are stored in a folder, not in a file '{}'", output);
  if (several) std::filesystem::create_directories(output);
  std::vector<std::unique_ptr<RowSink>> sinks;
  for (const SitePlace& place : harvest_options.places) {
    const std::string path = several ? fmt::format("{}/{}.{}", output, name_of(place.site), place.layer) : output;
    sinks.push_back(
        open_sink(path, describe(options, model, harvest_options, place), if_exists(options), options.effective()));
  }
  return sinks;
}

int store_activations(const Options& options, LanguageModel& model, const HarvestOptions& harvest_options) {
  const auto source = open_source(options, model, harvest_options.context_length);
  const std::string output = options.get_text("output");
  const auto sinks = open_sinks(options, model, harvest_options);
  std::vector<RowSink*> all;
  for (const auto& sink : sinks) all.push_back(sink.get());
  const HarvestResult result = harvest(model, *source, harvest_options, all);
  const int64_t tokens = result.contexts * harvest_options.context_length;
  if (result.interrupted) {
    fmt::print(stderr, "harvest: interrupted; run again with --resume to go on\n");
    return 130;
  }
  CHECK(result.contexts > 0, "the input has no context from number {} on", harvest_options.first_context);
  if (result.tokens_made == 0) {
    fmt::print(stderr, "harvest: {} holds {} tokens already\n", output, format_count(tokens));
    return 0;
  }
  for (const auto& sink : sinks) sink->finish();
  if (result.source_ended && harvest_options.contexts > 0) {
    fmt::print(stderr, "harvest: the input ended after {} tokens, {} were asked for\n", format_count(tokens),
               format_count(harvest_options.contexts * harvest_options.context_length));
  }
  report_speed(model, harvest_options, result, model_precision(options));
  return 0;
}

int run(const Options& options) {
  apply_threads(options);
  catch_interrupts();
  const bool text = options.given("text"), ids = options.given("token-ids"), import = options.given("import");
  CHECK(text + ids + import == 1, "expected one of --text, --token-ids and --import (see --help)");
  if (import) return import_rows(options);
  const bool report = options.get_flag("report-loss");
  CHECK(options.given("output") || report, "--output is needed (see --help)");

  const auto device = open_device(options);
  LanguageModel model = LanguageModel::load(model_path(options), *device, model_precision(options));
  HarvestOptions harvest_options;
  harvest_options.context_length = options.get_integer("context", 1, std::min<int64_t>(model.sizes().context, 65536));
  harvest_options.batch_contexts = options.get_integer("batch", 1, 1 << 16);
  harvest_options.first_context = options.get_integer("begin", 0, 1 << 30);
  const int64_t tokens = options.get_integer("tokens", 0, INT64_MAX);
  CHECK(tokens == 0 || tokens >= harvest_options.context_length, "--tokens: {} are not one context of {}", tokens,
        harvest_options.context_length);
  harvest_options.contexts = tokens / harvest_options.context_length;
  harvest_options.places = places_of(options, model);
  if (options.given("output")) {
    const int status = store_activations(options, model, harvest_options);
    if (status != 0) return status;
  }
  if (report) {
    const auto source = open_source(options, model, harvest_options.context_length);
    const int64_t sample =
        std::max<int64_t>(1, options.get_integer("loss-tokens", 1, INT64_MAX) / harvest_options.context_length);
    fmt::print("{}", report_loss(model, *source, harvest_options, sample).to_string());
  }
  return interrupted() ? 130 : 0;
}

}  // namespace
}  // namespace sae

int main(int argc, char** argv) {
  sae::Options options("harvest", sae::description);
  sae::declare(options);
  return sae::run_program(options, argc, argv, [&] { return sae::run(options); });
}
