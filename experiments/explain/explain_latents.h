#pragma once

#include <string>
#include <vector>

#include "experiments/explain/latent_firings.h"
#include "experiments/explain/token_stream.h"
#include "models/explanation/explainer.h"
#include "models/explanation/explanation_file.h"

namespace sae {

/// Which firings explain a latent: random ones, so that a latent is explained by what it usually does and not by its
/// largest activations alone (Gao et al., section 4.3).
struct ExampleOptions {
  int64_t examples = 16;
  int64_t held_out = 16;
  uint64_t seed = 0;
};

/// Rows of a latent's firings, numbered as in LatentFirings, in random order: the first `examples` to explain it from,
/// the others held out. A function of seed and latent.
struct ExampleRows {
  std::vector<int64_t> build, held_out;  ///< places among the latent's firings
};
ExampleRows choose_examples(int64_t latent, int64_t firings, const ExampleOptions& options);

struct ExplainPlan {
  std::vector<int64_t> latents;
  ExampleOptions examples;
  SearchOptions search;
  std::string identity;  ///< everything else that decides the result: autoencoder, data, model
  std::string folder;    ///< that explanations.jsonl goes to
  std::string label;     ///< on the screen
  bool resume = false;   ///< go on with, or reuse, what is there
  int64_t searches_at_once = 256;
};

struct ExplainResult {
  std::vector<Explanation> explanations;  ///< by latent
  bool interrupted = false;
};

/// Explains latents from the rows of a store and writes FOLDER/explanations.jsonl, a line for each, by latent. While it
/// runs, finished latents stand in FOLDER/progress.jsonl, from which plan.resume goes on; a file of another plan is
/// refused. The plan of a finished run is FOLDER/plan.json. Stops when the user interrupts it.
ExplainResult explain_latents(const ExplainPlan& plan, const LatentFirings& firings, const TokenStream& stream,
                              const TokenText& text, const ActivationFunction& activations);

}  // namespace sae
