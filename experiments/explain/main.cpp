// Explains latents by token patterns, found by asking the language model (Gao et al., section 4.3).
#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "engine/error.h"
#include "experiments/common/activation_data.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/progress.h"
#include "experiments/common/training_options.h"
#include "experiments/explain/explain_latents.h"
#include "experiments/explain/graph.h"
#include "experiments/explain/search_options.h"
#include "experiments/tokenize/printable.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

constexpr const char* description =
    R"(Says after which tokens the latents of an autoencoder fire: Neuron-to-Graph (Foote et al. 2023) in the form of Gao
et al., section 4.3.

Random firings of a latent are cut to the shortest text after which it still fires; tokens that a pad can replace become
wildcards; what is left is a pattern. The patterns of a latent are a graph, and predict where it fires. Firings are
taken from stored activations (validation, so that test text stays unseen); the language model is asked about changed
texts, up to the autoencoder's block.

  explain --sae runs/topk32/autoencoder.safetensors --data activations --output explained
  explain --sae runs/topk32/autoencoder.safetensors --data activations --output one --latents 12,345

Writes explanations.jsonl, a line a latent, and graphs/ as .dot and .svg. In a graph, tokens on which the latent fires
are red by strength, those before them blue by importance, ^ is the start of a context. compare_explanations scores
explanations on held-out text.)";

void declare(Options& options) {
  options.text("sae", "FILE", "the autoencoder, as train saves it");
  options.text("data", "FOLDER", "activations, as harvest stores them");
  options.text("split", "validation", "NAME", "the part of --data from which firings are taken");
  options.text("output", "FOLDER", "where the explanations go");
  options.flag("resume", "go on with an interrupted run");
  options.flag("overwrite", "replace what is there");
  options.flag("no-graphs", "write no .dot and .svg files");
  options.group("Which latents");
  options.text("latents", "N,N", "these; otherwise a random sample");
  options.integer("sample", 300, "N", "how many, of those above the floor; 0: all");
  options.number("density-floor", 1e-3, "D", "the sample leaves out latents that fire more rarely");
  declare_search_options(options);
  options.text("mode", "fixed", "fixed|reference",
               "fixed: longest match over all paths, mean of equal patterns, wildcards checked together; reference: as "
               "released with Gao et al., quirks included");
  options.text(
      "prefix", "separator", "separator|none",
      "before every query: the token that begins the contexts of --data, or else the model's end-of-text token, "
      "which takes the attention sink at position 0; none: the text alone, as in the paper");
  declare_data_options(options);
  options.group("With which model");
  declare_model(options);
  declare_device(options);
}

std::vector<int64_t> chosen_latents(const Options& options, const LatentFirings& firings, const std::string& name) {
  if (options.given("latents")) return options.get_integers("latents");
  const double floor = options.get_number("density-floor", 1e-9, 1);
  const ExampleOptions examples = example_options(options);
  const int64_t needed = examples.examples + examples.held_out;
  const std::vector<int64_t> eligible = latents_above(firings, floor, needed, name);
  CHECK(!eligible.empty(), "{}: no latent has a density of {} or more", name, floor);
  const int64_t wanted = options.get_integer("sample", 0, INT64_MAX);
  const auto sample = sample_latents(eligible, wanted > 0 ? wanted : INT64_MAX, examples.seed);
  fmt::print(stderr, "{} of {} latents have a density of {} or more; {} of them are explained\n", eligible.size(),
             firings.latents(), floor, sample.size());
  return sample;
}

void write_graphs(const std::string& folder, const std::vector<Explanation>& explanations, const TokenText& text) {
  fs::create_directories(folder);
  std::vector<std::string> files;
  for (const Explanation& explanation : explanations) {
    files.push_back(fmt::format("{}/latent-{}.dot", folder, explanation.latent));
    write_file(files.back(), graph_of(explanation, text), IfExists::replace);
  }
  draw_graphs(files);
}

void report(const std::vector<Explanation>& explanations, const LatentQueries& queries, double seconds) {
  int64_t patterns = 0, anywhere = 0, held_out = 0, predicted = 0;
  for (const Explanation& explanation : explanations) {
    patterns += static_cast<int64_t>(explanation.patterns.size());
    anywhere += explanation.trie().ends_on_any_token() ? 1 : 0;
    held_out += explanation.held_out;
    predicted += explanation.held_out_predicted;
  }
  fmt::print(
      "{} latents, {} patterns; {} latents have a pattern that ends on any token; {} of {} held-out firings "
      "predicted\n",
      explanations.size(), patterns, anywhere, predicted, held_out);
  if (queries.tokens_run() == 0) return;
  fmt::print("{} tokens asked, {} run ({} tokens/s in the model, {} s of {} in all)\n",
             format_count(queries.tokens_asked()), format_count(queries.tokens_run()),
             format_count(static_cast<int64_t>(static_cast<double>(queries.tokens_run()) / queries.seconds())),
             static_cast<int64_t>(queries.seconds()), static_cast<int64_t>(seconds));
}

int explain_sample(const Options& options) {
  apply_threads(options);
  catch_interrupts();
  const auto device = open_device(options);
  const std::string sae_path = options.get_text("sae"), output = options.get_text("output");
  const LoadedAutoencoder loaded = load_autoencoder(sae_path, *device);
  const ActivationStore store(options.get_text("data") + "/" + options.get_text("split"));
  check_same_subject(sae_path, loaded, store);
  const RowSelection selection(store, data_options(options));
  LanguageModel model = LanguageModel::load(model_path(options), *device, model_precision(options));
  check_same_model(model, store);

  ExplainPlan plan;
  plan.search.mode = parse_explanation_mode(options.get_text("mode"));
  plan.search.prefix = prefix_option(options.get_text("prefix"), model, store.description());
  plan.search.pad = pad_option(options, model);
  plan.examples = example_options(options);
  plan.identity = search_identity(loaded.autoencoder, store, selection, options);
  plan.folder = output;
  plan.label = "explain";
  plan.searches_at_once = options.get_integer("at-once", 1, 1 << 20);
  plan.resume = options.get_flag("resume");
  prepare_output(output, plan.resume, options.get_flag("overwrite"));
  const LatentFirings firings(loaded.autoencoder, store, selection, *device);
  plan.latents = chosen_latents(options, firings, store.folder());
  options.write_effective(output + "/options.txt");

  const TokenText text = [&](int32_t token) { return printable(model.tokenizer().piece(token)); };
  LatentQueries queries(model, place_of(store.description()), loaded.autoencoder);
  const TokenStream stream(store, selection, first_position(plan.search));
  const auto start = std::chrono::steady_clock::now();
  const ExplainResult result = explain_latents(
      plan, firings, stream, text, [&](std::span<const ActivationQuery> asked) { return queries.answer(asked); });
  if (result.interrupted) {
    fmt::print(stderr, "explain: interrupted; run again with --resume to go on\n");
    return 130;
  }
  report(result.explanations, queries, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (!options.get_flag("no-graphs")) write_graphs(output + "/graphs", result.explanations, text);
  return 0;
}

}  // namespace
}  // namespace sae

int main(int argc, char** argv) {
  sae::Options options("explain", sae::description);
  sae::declare(options);
  return sae::run_program(options, argc, argv, [&] { return sae::explain_sample(options); });
}
