#pragma once

#include <string>

#include "experiments/common/options.h"
#include "experiments/explain/explain_latents.h"
#include "models/explanation/latent_queries.h"
#include "models/explanation/pattern_search.h"

namespace sae {

/// Declares how patterns are searched for: --pad, --examples, --held-out, --seed.
void declare_search_options(Options& options);

/// The place in the model at which a store's activations were taken.
SitePlace place_of(const StoreDescription& description);

/// Throws unless the store's activations are of this model.
void check_same_model(const LanguageModel& model, const ActivationStore& store);

/// Everything but the options of a search that decides its result: autoencoder, rows, precision of the model.
std::string search_identity(const Autoencoder& autoencoder, const ActivationStore& store, const RowSelection& selection,
                            const Options& options);
/// --examples, --held-out and --seed.
ExampleOptions example_options(const Options& options);

/// What stands before every query: one separator, or nothing ("none"). It is the token with which the store's contexts
/// began, where they began with one, else the model's end-of-text token.
std::vector<int32_t> prefix_option(const std::string& text, const LanguageModel& model, const StoreDescription& store);
/// --pad as the one token it must be.
int32_t pad_option(const Options& options, LanguageModel& model);

/// The first position of a context that patterns may see: where queries have a prefix, position 0 is left to it.
inline int64_t first_position(const SearchOptions& search) { return search.prefix.empty() ? 0 : 1; }

}  // namespace sae
