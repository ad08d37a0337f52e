#include "experiments/explain/search_options.h"

#include <fmt/format.h>

#include "engine/error.h"
#include "experiments/common/subject.h"

namespace sae {

void declare_search_options(Options& options) {
  options.group("How explanations are found")
      .text("pad", " _", "TEXT", "the one token that takes the place of others when their importance is measured")
      .integer("examples", 16, "N", "random firings that a latent is explained from")
      .integer("held-out", 16, "N", "other random firings, on which recall is measured")
      .integer("seed", 0, "N", "of the samples")
      .integer("at-once", 256, "N", "firings looked into side by side; an interrupted run loses what they had found");
}

SitePlace place_of(const StoreDescription& description) { return {description.layer, parse_site(description.site)}; }

void check_same_model(const LanguageModel& model, const ActivationStore& store) {
  const StoreDescription& description = store.description();
  CHECK(description.model == model.title(),
        "{}: holds activations of '{}', the model is '{}'; name theirs with --model", store.folder(), description.model,
        model.title());
  const int64_t width = model.width_of(parse_site(description.site));
  CHECK(description.width == width && description.layer < model.sizes().layers,
        "{}: holds rows of width {} of block {}, the model has {} blocks of width {}", store.folder(),
        description.width, description.layer, model.sizes().layers, width);
}

std::string search_identity(const Autoencoder& autoencoder, const ActivationStore& store, const RowSelection& selection,
                            const Options& options) {
  return fmt::format("{}; {}; {}; {}", fingerprint(autoencoder), store.fingerprint(), selection.count(),
                     options.get_text("precision"));
}

ExampleOptions example_options(const Options& options) {
  return {options.get_integer("examples", 1, 1 << 20), options.get_integer("held-out", 0, 1 << 20),
          static_cast<uint64_t>(options.get_integer("seed", 0, INT64_MAX))};
}

std::vector<int32_t> prefix_option(const std::string& text, const LanguageModel& model, const StoreDescription& store) {
  CHECK(text == "separator" || text == "none", "--prefix: expected separator or none, got '{}'", text);
  if (text == "none") return {};
  const bool began = contexts_have_beginning(store);
  const int32_t separator = began ? model.tokenizer().beginning_of_text() : model.tokenizer().end_of_text();
  CHECK(separator >= 0, "--prefix: the model's tokenizer names no {} token; use --prefix none",
        began ? "beginning-of-text" : "end-of-text");
  return {separator};
}

int32_t pad_option(const Options& options, LanguageModel& model) {
  const std::string text = options.get_text("pad");
  std::vector<int32_t> ids = model.tokenizer().encode(text);
  if (ids.size() != 1 && text.starts_with(' ')) {  // some tokenizers put the space there themselves
    std::vector<int32_t> without = model.tokenizer().encode(text.substr(1));
    if (without.size() == 1 && model.tokenizer().piece(without[0]) == text) ids = std::move(without);
  }
  CHECK(ids.size() == 1, "--pad: '{}' is {} tokens of this model, expected one", text, ids.size());
  return ids[0];
}

}  // namespace sae
