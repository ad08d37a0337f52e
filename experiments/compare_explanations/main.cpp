// How well token patterns explain the latents of TopK and ReLU autoencoders (Gao et al., Fig. 24), and of autoencoders
// of several sizes and sparsities (Fig. 25).
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <optional>

#include "engine/error.h"
#include "experiments/common/activation_data.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/progress.h"
#include "experiments/common/subject.h"
#include "experiments/common/training_options.h"
#include "experiments/compare_explanations/comparison.h"
#include "experiments/explain/search_options.h"
#include "experiments/tokenize/printable.h"

namespace sae {
namespace {

constexpr const char* description =
    R"(Explains the latents of several autoencoders by token patterns and scores the explanations on held-out text:
precision, recall and F1 of predicted firings, as means over latents with 95 % bootstrap intervals.

Give a TopK and a ReLU autoencoder of equal size and L0 for the comparison of Gao et al., Fig. 24, or more than two, of
several sizes and sparsities, for the curves of Fig. 25:

  compare_explanations --data activations --output explanations runs/topk32 runs/relu
  compare_explanations --data activations --output by_size runs/n512k16 runs/n2048k16 runs/n512k64 runs/n2048k64

Explanations are built from the validation split and scored on the test split. Beside them stand tables of last tokens
and of 5-grams (learnt from the whole validation split), an autoencoder with random weights, and the model's own
channels, both at the first TopK autoencoder's k. Equal L0 does not mean equal densities, so latents are also compared
by density. Writes results.csv, ratios.csv (each ReLU over the TopK autoencoder of its size and nearest L0), latents.csv,
explanations.svg, explanations_by_size.svg of more than two, and verdict.txt.)";

void declare(Options& options) {
  options.positional("sae", "trained autoencoders: files, or folders of train or compare_activations");
  options.text("data", "FOLDER", "activations, as harvest stores them");
  options.text("build-split", "validation", "NAME", "the part of --data that explanations are built from");
  options.text("test-split", "test", "NAME", "the part on which they are scored");
  options.text("output", "FOLDER", "where the results go");
  options.flag("resume", "go on with an interrupted run");
  options.flag("overwrite", "replace what is there");
  options.group("Which latents");
  options.integer("sample", 300, "N", "random latents of each autoencoder, of those above the floor; 0: all");
  options.number("density-floor", 1e-3, "D", "leave out latents that fire more rarely, in the text to build from");
  options.integer("least-firings", 16, "N", "leave out latents with fewer firings in the text to score on");
  options.integer("paper-form", 100, "N",
                  "explain N latents of each trained autoencoder also in the paper's form (explain --mode reference "
                  "--prefix none)");
  options.integer(
      "baseline-sample", 40, "N",
      "latents of random weights, and channels: each takes several times as long as a trained latent, since "
      "its firings depend on all of their context; 0: no baselines");
  options.group("Statistics");
  options.integer("bins", 10, "N", "of density");
  options.integer("resamples", 1000, "N", "of the bootstrap");
  declare_search_options(options);
  declare_data_options(options);
  options.group("With which model");
  declare_model(options);
  declare_device(options);
}

struct Split {
  Split(const std::string& folder, const RowFilter& filter) : store(folder), selection(store, filter) {}
  ActivationStore store;
  RowSelection selection;
};

/// An autoencoder under comparison, and where it fires.
struct Candidate {
  Autoencoder autoencoder;
  std::string group, folder;
  LatentFirings build, test;
  std::string size = {};  // " n 512" where autoencoders of several sizes are compared
  std::string name() const {
    const int64_t k = autoencoder.options().k;
    if (group == "topk") return fmt::format("TopK{} k {}", size, k);
    if (group == "relu") return fmt::format("ReLU{} L0 {:.1f}", size, test.l0());
    return fmt::format("{}{} k {}", group == "random" ? "random weights" : "channels", size, k);
  }
};

class Comparison {
 public:
  Comparison(const Options& options, Device& device)
      : options_(options),
        device_(device),
        output_(options.get_text("output")),
        build_(options.get_text("data") + "/" + options.get_text("build-split"), data_options(options)),
        test_(options.get_text("data") + "/" + options.get_text("test-split"), data_options(options)),
        model_(LanguageModel::load(model_path(options), device, model_precision(options))) {
    check_same_model(model_, build_.store);
    check_same_model(model_, test_.store);
    const StoreDescription &build = build_.store.description(), &test = test_.store.description();
    CHECK(build.layer == test.layer && build.site == test.site && build.context_length == test.context_length,
          "{}: is of another layer, site or context length than {}", test_.store.folder(), build_.store.folder());
    search_.prefix = prefix_option("separator", model_, build);
    search_.pad = pad_option(options, model_);
    paper_search_.mode = ExplanationMode::reference;
    paper_search_.pad = search_.pad;
    text_ = [this](int32_t token) { return printable(model_.tokenizer().piece(token)); };
  }

  int run() {
    add_candidates();
    const TokenStream seen(test_.store, test_.selection, first_position(search_));
    const TokenStream whole(test_.store, test_.selection, 0);
    const TokenStream learnt(build_.store, build_.selection, first_position(search_));
    const NgramLookup tokens(learnt, seen, 1), ngrams(learnt, seen, 5);
    std::vector<ScoredAutoencoder> subjects;
    for (const Candidate& candidate : candidates_) {
      const std::vector<int64_t> sample = sampled(candidate);
      const auto explained = explained_by(candidate, search_, sample, learnt);
      if (!explained) return interrupted_run();
      std::vector<Explanation> paper_form;
      const int64_t in_paper_form = options_.get_integer("paper-form", 0, INT64_MAX);
      if (in_paper_form > 0 && is_trained(candidate)) {
        const TokenStream learnt_whole(build_.store, build_.selection, 0);
        const auto found =
            explained_by(candidate, paper_search_, sample_latents(sample, in_paper_form, seed()), learnt_whole);
        if (!found) return interrupted_run();
        paper_form = *found;
      }
      const Compared subject = {candidate.name(), candidate.group, &candidate.build, &candidate.test};
      subjects.push_back({subject, score_explanations(subject, *explained, paper_form, seen, whole, tokens, ngrams)});
    }
    write(subjects);
    return 0;
  }

 private:
  static bool is_trained(const Candidate& candidate) { return candidate.group == "topk" || candidate.group == "relu"; }
  int64_t baseline_sample() const { return options_.get_integer("baseline-sample", 0, INT64_MAX); }
  uint64_t seed() const { return example_options(options_).seed; }

  void add(Autoencoder autoencoder, const std::string& group) {
    const std::string folder = fmt::format("{}/explanations/{}-{}", output_, candidates_.size() + 1, group);
    fmt::print(stderr, "{}: latents of {} and {} rows\n", group, build_.selection.count(), test_.selection.count());
    LatentFirings build(autoencoder, build_.store, build_.selection, device_);
    LatentFirings test(autoencoder, test_.store, test_.selection, device_);
    candidates_.push_back({std::move(autoencoder), group, folder, std::move(build), std::move(test)});
  }

  void add_candidates() {
    const std::vector<std::string> files = find_autoencoders(options_.get_texts("sae"));
    CHECK(!files.empty(), "name trained autoencoders to compare (see --help)");
    const Autoencoder* topk = nullptr;
    for (const std::string& file : files) {
      LoadedAutoencoder loaded = load_autoencoder(file, device_);
      check_same_subject(file, loaded, build_.store);
      const AutoencoderOptions options = loaded.autoencoder.options();
      const bool first_topk = topk == nullptr && options.activation == Activation::topk;
      add(std::move(loaded.autoencoder), std::string(name_of(options.activation)));
      if (first_topk) topk = &candidates_.back().autoencoder;
    }
    if (topk != nullptr && baseline_sample() > 0) {
      add(random_autoencoder(*topk, seed()), "random");
      add(channel_autoencoder(build_.store, build_.selection, topk->options().k, device_), "channels");
    }
    if (size_of_all()) return;
    for (Candidate& candidate : candidates_) candidate.size = fmt::format(" n {}", candidate.build.latents());
  }

  /// The number of latents, where all trained autoencoders have equally many.
  std::optional<int64_t> size_of_all() const {
    const int64_t first = candidates_[0].build.latents();
    const bool all = std::all_of(candidates_.begin(), candidates_.end(), [&](const Candidate& candidate) {
      return !is_trained(candidate) || candidate.build.latents() == first;
    });
    return all ? std::optional(first) : std::nullopt;
  }

  std::vector<int64_t> sampled(const Candidate& candidate) const {
    const double floor = options_.get_number("density-floor", 1e-9, 1);
    const ExampleOptions examples = example_options(options_);
    const std::vector<int64_t> eligible =
        latents_above(candidate.build, floor, examples.examples + examples.held_out, build_.store.folder());
    latents_above(candidate.test, floor, options_.get_integer("least-firings", 1, 1 << 30), test_.store.folder());
    const int64_t sampled = options_.get_integer("sample", 0, INT64_MAX);
    const int64_t wanted = is_trained(candidate) ? sampled : baseline_sample();
    auto sample = sample_latents(eligible, wanted > 0 ? wanted : INT64_MAX, examples.seed);
    const std::string line = fmt::format(
        "{}: L0 {:.1f}; {} of {} latents have a density of {} or more; {} of them are explained\n", candidate.name(),
        candidate.test.l0(), eligible.size(), candidate.build.latents(), floor, sample.size());
    fmt::print(stderr, "{}", line);
    notes_ += line;
    return sample;
  }

  std::optional<std::vector<Explanation>> explained_by(const Candidate& candidate, const SearchOptions& search,
                                                       const std::vector<int64_t>& latents, const TokenStream& stream) {
    ExplainPlan plan;
    plan.latents = latents;
    plan.search = search;
    plan.examples = example_options(options_);
    plan.identity = search_identity(candidate.autoencoder, build_.store, build_.selection, options_);
    plan.folder = fmt::format("{}-{}", candidate.folder, name_of(search.mode));
    plan.label = fmt::format("{}, {}", candidate.name(), name_of(search.mode));
    plan.searches_at_once = options_.get_integer("at-once", 1, 1 << 20);
    plan.resume = true;  // whether the output may be gone on with was decided for all of it
    LatentQueries queries(model_, place_of(build_.store.description()), candidate.autoencoder);
    ExplainResult result =
        explain_latents(plan, candidate.build, stream, text_,
                        [&](std::span<const ActivationQuery> asked) { return queries.answer(asked); });
    if (result.interrupted) return std::nullopt;
    int64_t asked = 0;
    for (const Explanation& explanation : result.explanations) asked += explanation.tokens_asked;
    notes_ += fmt::format("{}, {}: {} tokens asked for {} latents\n", candidate.name(), name_of(search.mode),
                          format_count(asked), result.explanations.size());
    return std::move(result.explanations);
  }

  int interrupted_run() const {
    fmt::print(stderr, "compare_explanations: interrupted; run again with --resume to go on\n");
    return 130;
  }

  void write(const std::vector<ScoredAutoencoder>& subjects) const {
    ComparisonOptions comparison;
    comparison.least_firings = options_.get_integer("least-firings", 1, 1 << 30);
    comparison.bins = options_.get_integer("bins", 1, 1000);
    comparison.resamples = options_.get_integer("resamples", 10, 1 << 20);
    comparison.seed = seed();
    const std::vector<ResultLine> lines = summarise(subjects, comparison);
    std::vector<RatioLine> compared;
    for (const ScoredAutoencoder& relu : subjects) {
      if (relu.subject.group != "relu") continue;
      if (const ScoredAutoencoder* topk = nearest_topk(subjects, relu)) {
        const auto more = ratios(*topk, relu, comparison);
        compared.insert(compared.end(), more.begin(), more.end());
      }
    }
    write_results(output_ + "/results.csv", lines);
    write_ratios(output_ + "/ratios.csv", compared);
    write_latents(output_ + "/latents.csv", subjects);
    const StoreDescription& subject = build_.store.description();
    const std::string title =
        fmt::format("{}, block {}{}: explanations by token patterns", subject.model, subject.layer,
                    size_of_all() ? fmt::format(", {} latents", *size_of_all()) : "");
    draw_comparison(output_ + "/explanations", title, lines, bin_centres(subjects, comparison));
    if (std::count_if(candidates_.begin(), candidates_.end(), is_trained) > 2) {
      draw_by_size(output_ + "/explanations_by_size", title, lines);
    }
    const std::string text = notes_ + "\n" + verdict(lines, compared);
    write_file(output_ + "/verdict.txt", text, IfExists::replace);
    fmt::print("{}", text);
  }

  /// The TopK autoencoder of equal size whose L0 is nearest.
  static const ScoredAutoencoder* nearest_topk(const std::vector<ScoredAutoencoder>& subjects,
                                               const ScoredAutoencoder& relu) {
    const ScoredAutoencoder* nearest = nullptr;
    const auto distance = [&](const ScoredAutoencoder& topk) {
      return std::abs(std::log(topk.subject.test->l0() / relu.subject.test->l0()));
    };
    for (const ScoredAutoencoder& scored : subjects) {
      if (scored.subject.group != "topk" || scored.subject.test->latents() != relu.subject.test->latents()) continue;
      if (nearest == nullptr || distance(scored) < distance(*nearest)) {
        nearest = &scored;
      }
    }
    if (nearest != nullptr && distance(*nearest) > std::log(1.2)) {
      fmt::print(stderr, "warning: {} and {} differ in L0 by more than a fifth\n", nearest->subject.name,
                 relu.subject.name);
    }
    return nearest;
  }

  const Options& options_;
  Device& device_;
  std::string output_;
  Split build_, test_;
  LanguageModel model_;
  SearchOptions search_, paper_search_;
  TokenText text_;
  std::deque<Candidate> candidates_;
  mutable std::string notes_;
};

int compare(const Options& options) {
  apply_threads(options);
  catch_interrupts();
  const auto device = open_device(options);
  Comparison comparison(options, *device);
  prepare_output(options.get_text("output"), options.get_flag("resume"), options.get_flag("overwrite"));
  options.write_effective(options.get_text("output") + "/options.txt");
  return comparison.run();
}

}  // namespace
}  // namespace sae

int main(int argc, char** argv) {
  sae::Options options("compare_explanations", sae::description);
  sae::declare(options);
  return sae::run_program(options, argc, argv, [&] { return sae::compare(options); });
}
