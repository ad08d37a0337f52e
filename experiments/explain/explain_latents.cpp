#include "experiments/explain/explain_latents.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "engine/error.h"
#include "engine/files/json_lines.h"
#include "engine/philox.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/progress.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

Json plan_json(const ExplainPlan& plan) {
  const SearchOptions& search = plan.search;
  Json json = Json::object();
  json.set("kind", "sae.cpp explanations 1").set("of", plan.identity).set("mode", name_of(search.mode));
  json.set("pad", static_cast<int64_t>(search.pad));
  json.set("prefix", std::vector<int64_t>(search.prefix.begin(), search.prefix.end()));
  json.set("examples", plan.examples.examples).set("held_out", plan.examples.held_out);
  json.set("seed", plan.examples.seed).set("latents", plan.latents);
  return json;
}

Example example_at(const TokenStream& stream, int64_t row, float activation) {
  const auto context = stream.context(row);
  return {{context.begin(), context.end()}, static_cast<double>(activation)};
}

class Explaining {
 public:
  Explaining(const ExplainPlan& plan, const LatentFirings& firings, const TokenStream& stream, const TokenText& text)
      : plan_(plan), firings_(firings), stream_(stream), text_(text), plan_text_(plan_json(plan).dump()) {
    CHECK(firings.rows() == stream.rows(), "explain: {} rows of activations for {} of tokens", firings.rows(),
          stream.rows());
    for (const int64_t latent : plan.latents) {
      CHECK(0 <= latent && latent < firings.latents(), "latent {} was asked for; the autoencoder has {}", latent,
            firings.latents());
    }
  }

  ExplainResult run(const ActivationFunction& activations) {
    fs::create_directories(plan_.folder);
    if (fs::exists(file("plan.json")) || fs::exists(file("explanations.jsonl"))) {
      CHECK(plan_.resume,
            "{}: holds explanations; reuse them by --resume, replace them by --overwrite, or give another "
            "--output",
            plan_.folder);
      CHECK(fs::exists(file("plan.json")) && Json::read(file("plan.json")).dump() == plan_text_,
            "{}: holds explanations of other options, data or autoencoder; give another --output, or --overwrite",
            plan_.folder);
      return {read_explanations(file("explanations.jsonl")), false};
    }
    open_progress();
    explain_missing(activations);
    if (interrupted()) return {std::move(done_), true};
    return {finish(), false};
  }

 private:
  std::string file(const std::string& name) const { return plan_.folder + "/" + name; }

  /// progress.jsonl: the plan, then a line for each latent as it is finished.
  void open_progress() {
    const std::string path = file("progress.jsonl");
    if (fs::exists(path) && plan_.resume) {
      JsonLinesReader reader(path);
      const std::optional<Json> first = reader.next();
      if (first.has_value()) {
        CHECK(first->dump() == plan_text_,
              "{}: is of other options, data or autoencoder; give another --output, or --overwrite", path);
        while (const std::optional<Json> line = reader.next()) {
          done_.push_back(read_explanation(*line));
        }
        progress_.emplace(JsonLinesWriter::resume(path, reader.offset()));
        return;
      }
    }
    CHECK(!fs::exists(path) || plan_.resume, "{}: holds an interrupted run; go on with it by --resume, or --overwrite",
          plan_.folder);
    progress_.emplace(path, IfExists::replace);
    progress_->append(plan_json(plan_));
  }

  void explain_missing(const ActivationFunction& activations) {
    std::set<int64_t> known;
    for (const Explanation& explanation : done_) known.insert(explanation.latent);
    std::vector<LatentExamples> missing;
    for (const int64_t latent : plan_.latents) {
      if (!known.contains(latent)) missing.push_back(examples_of(latent));
    }
    Progress progress(plan_.label, static_cast<int64_t>(plan_.latents.size()), "latents",
                      static_cast<int64_t>(done_.size()));
    const auto finished = [&](const LatentPatterns& found) {
      done_.push_back(describe(found));
      progress_->append(to_json(done_.back(), text_));
      return true;
    };
    const auto go_on = [&] {
      progress.update(static_cast<int64_t>(done_.size()));
      return !interrupted();
    };
    explain(missing, plan_.search, plan_.searches_at_once, activations, finished, go_on);
    progress.update(static_cast<int64_t>(done_.size()));
    progress.finish(interrupted() ? "interrupted" : "");
  }

  LatentExamples examples_of(int64_t latent) const {
    LatentExamples examples = {latent, {}};
    for (const int64_t i : choose_examples(latent, firings_.count(latent), plan_.examples).build) {
      Example example = example_at(stream_, firings_.rows_of(latent)[static_cast<size_t>(i)],
                                   firings_.values_of(latent)[static_cast<size_t>(i)]);
      if (!example.tokens.empty()) examples.examples.push_back(std::move(example));
    }
    return examples;
  }

  Explanation describe(const LatentPatterns& found) const {
    const int64_t latent = found.latent;
    Explanation explanation;
    explanation.latent = latent;
    explanation.mode = plan_.search.mode;
    explanation.density = firings_.density(latent);
    explanation.maximum = static_cast<double>(firings_.maximum(latent));
    explanation.patterns = found.patterns.patterns();
    explanation.tokens_asked = found.tokens_asked;
    const ExampleRows rows = choose_examples(latent, firings_.count(latent), plan_.examples);
    explanation.examples = static_cast<int64_t>(rows.build.size());
    explanation.held_out = static_cast<int64_t>(rows.held_out.size());
    for (const int64_t i : rows.held_out) {
      const auto context = stream_.context(firings_.rows_of(latent)[static_cast<size_t>(i)]);
      explanation.held_out_predicted += found.patterns.predict(context) > 0 ? 1 : 0;
    }
    return explanation;
  }

  std::vector<Explanation> finish() {
    std::sort(done_.begin(), done_.end(),
              [](const Explanation& a, const Explanation& b) { return a.latent < b.latent; });
    std::string lines;
    for (const Explanation& explanation : done_) lines += to_json(explanation, text_).dump() + "\n";
    write_file(file("explanations.jsonl"), lines, IfExists::replace);
    plan_json(plan_).write(file("plan.json"), IfExists::replace);
    fs::remove(file("progress.jsonl"));
    return std::move(done_);
  }

  const ExplainPlan& plan_;
  const LatentFirings& firings_;
  const TokenStream& stream_;
  const TokenText& text_;
  std::string plan_text_;
  std::optional<JsonLinesWriter> progress_;
  std::vector<Explanation> done_;
};

}  // namespace

ExampleRows choose_examples(int64_t latent, int64_t firings, const ExampleOptions& options) {
  enum : uint64_t { first_stream = 1 << 16 };
  ExampleRows rows;
  if (firings == 0) return rows;
  const Permutation order(static_cast<uint64_t>(firings), options.seed, first_stream + static_cast<uint64_t>(latent));
  for (int64_t i = 0; i < std::min(firings, options.examples + options.held_out); ++i) {
    auto& part = i < options.examples ? rows.build : rows.held_out;
    part.push_back(static_cast<int64_t>(order(static_cast<uint64_t>(i))));
  }
  return rows;
}

ExplainResult explain_latents(const ExplainPlan& plan, const LatentFirings& firings, const TokenStream& stream,
                              const TokenText& text, const ActivationFunction& activations) {
  return Explaining(plan, firings, stream, text).run(activations);
}

}  // namespace sae
