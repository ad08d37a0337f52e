#include "models/explanation/explainer.h"

#include <algorithm>
#include <list>

#include "engine/error.h"

namespace sae {
namespace {

/// A latent whose searches are running.
struct Running {
  int64_t latent = 0;
  std::vector<PatternSearch> searches;

  bool is_done() const {
    return std::all_of(searches.begin(), searches.end(), [](const PatternSearch& search) { return search.is_done(); });
  }
};

Running start(const LatentExamples& examples, const SearchOptions& options) {
  Running running = {examples.latent, {}};
  for (const Example& example : examples.examples) running.searches.emplace_back(example, options);
  return running;
}

LatentPatterns collect(const Running& running, ExplanationMode mode) {
  LatentPatterns found = {running.latent, PatternTrie(mode), 0};
  for (const PatternSearch& search : running.searches) {
    found.patterns.insert(search.pattern());
    found.tokens_asked += search.tokens_asked();
  }
  return found;
}

/// Runs what all searches ask for now, and gives them their answers.
void run_round(std::list<Running>& running, const ActivationFunction& activations) {
  std::vector<ActivationQuery> queries;
  for (const Running& latent : running) {
    for (const PatternSearch& search : latent.searches) {
      for (const std::vector<int32_t>& tokens : search.queries()) queries.push_back({latent.latent, tokens});
    }
  }
  if (queries.empty()) return;
  const std::vector<float> answers = activations(queries);
  CHECK(answers.size() == queries.size(), "explain: {} answers to {} queries", answers.size(), queries.size());
  std::span<const float> rest = answers;
  for (Running& latent : running) {
    for (PatternSearch& search : latent.searches) {
      if (search.is_done()) continue;
      const size_t count = search.queries().size();
      search.answer(rest.first(count));
      rest = rest.subspan(count);
    }
  }
}

}  // namespace

void explain(std::span<const LatentExamples> latents, const SearchOptions& options, int64_t searches_at_once,
             const ActivationFunction& activations, const std::function<bool(LatentPatterns)>& finished,
             const std::function<bool()>& go_on) {
  std::list<Running> running;
  size_t next = 0;
  while (next < latents.size() || !running.empty()) {
    if (!go_on()) return;
    int64_t searches = 0;
    for (const Running& latent : running) {
      for (const PatternSearch& search : latent.searches) searches += search.is_done() ? 0 : 1;
    }
    while (next < latents.size() && (running.empty() || searches < searches_at_once)) {
      running.push_back(start(latents[next++], options));
      searches += static_cast<int64_t>(running.back().searches.size());
    }
    run_round(running, activations);
    for (auto latent = running.begin(); latent != running.end();) {
      if (!latent->is_done()) {
        ++latent;
        continue;
      }
      if (!finished(collect(*latent, options.mode))) return;
      latent = running.erase(latent);
    }
  }
}

}  // namespace sae
