// What an autoencoder's reconstruction costs the language model that reads it (Gao et al., Fig. 5), and what latents
// simulated from their explanations do (Gao et al., section 4.4).
#include <fmt/format.h>

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>

#include "engine/error.h"
#include "engine/files/atomic_file.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "experiments/common/subject.h"
#include "experiments/common/training_options.h"
#include "experiments/downstream/bigram_model.h"
#include "experiments/downstream/measurement.h"
#include "experiments/downstream/simulated_latents.h"
#include "models/explanation/explanation_file.h"

namespace {

using namespace sae;
namespace fs = std::filesystem;

constexpr const char* description =
    R"(Puts autoencoders' reconstructions in the place of the activations they were trained on, lets the model go on from
there, and says how much worse it predicts held-out text: the increase of its loss (next-token cross-entropy) and the
divergence of its predictions, KL(original || replaced), for each autoencoder, with zeros and the mean activation as the
two ends. The first position of a context, an attention sink, keeps its activation, and what it predicts is not counted.

With --explanations, latents are also simulated: each has the value that its patterns predict from the tokens alone, times
a factor estimated on --calibrate, and the decoder makes a reconstruction of them ("NAME simulated"); the mean and the
norm of the row it replaces are kept, as for every reconstruction. With --bigram-text, a bigram model stands beside it.
Explain all latents for this: explain --sample 0, with a low --density-floor and much text (--split train).

Writes into --output: downstream.csv, downstream.svg/.png/.gp, and sums.json, from which --resume goes on; and
simulation.txt: for how many latents there was an explanation.

  downstream runs/default/sweep --text test.jsonl --output runs/default/downstream
  downstream a.safetensors runs/topk32 --text book.txt --tokens 8192 --output out
  downstream runs/topk16 --text test.jsonl --explanations explained --calibrate validation.jsonl \
    --bigram-text train.jsonl --output simulated)";

void declare(Options& options) {
  options.group("Input and output")
      .positional("sae", "autoencoders: files, folders of runs, or a folder of compare_activations, trials left out")
      .text("text", "PATH", "held-out text: a .jsonl file of documents, a text file, or a folder of them")
      .integer("tokens", 32768, "N", "of the text, rounded down to whole contexts; 0: all")
      .text("output", "FOLDER", "where the results go")
      .flag("resume", "go on with an interrupted run")
      .flag("overwrite", "replace the run in --output")
      .integer("skip-positions", 1, "N", "the first N positions of every context keep their activations")
      .integer("batch", 4, "N", "contexts in one pass of one thread");
  options.group("Latents simulated from their explanations")
      .text("explanations", "FOLDER", "NAME/explanations.jsonl for each autoencoder, as explain writes them")
      .text("calibrate", "PATH", "text, other than --text, on which the simulation is scaled and bigrams are smoothed")
      .integer("calibrate-tokens", 32768, "N", "of that text, rounded down to whole contexts; 0: all")
      .text("bigram-text", "PATH", "all of this text is counted for a bigram model");
  options.group("With which model");
  declare_beginning(options, "every context");
  declare_model(options);
  declare_device(options);
}

std::vector<LoadedAutoencoder> load_all(const std::vector<std::string>& paths, const LanguageModel& model,
                                        Device& device) {
  std::vector<LoadedAutoencoder> all;
  for (const std::string& path : paths) {
    all.push_back(load_autoencoder(path, device));
    check_subject(path, all.back(), model);
    const Subject first = subject_of(all.front(), model), subject = subject_of(all.back(), model);
    CHECK(subject.beginning == first.beginning,
          "{}: contexts of its activations started with the beginning-of-text token, those of {} did not, or the other "
          "way around; measure them apart",
          path, paths.front());
    CHECK(subject.place.layer == first.place.layer && subject.place.site == first.place.site &&
              subject.context_length == first.context_length,
          "{}: reads block {} {} in contexts of {}, {} reads block {} {} in contexts of {}; measure them apart", path,
          subject.place.layer, name_of(subject.place.site), subject.context_length, paths.front(), first.place.layer,
          name_of(first.place.site), first.context_length);
  }
  return all;
}

/// A file as a run remembers it.
std::string file_identity(const std::string& path) {
  if (!fs::is_regular_file(path)) return path;
  const auto written = fs::last_write_time(path).time_since_epoch().count();
  return fmt::format("{} {} {}", path, fs::file_size(path), written);
}

/// What stands beside the reconstructions: latents simulated from explanations, and bigrams.
class Simulation {
 public:
  Simulation(const Options& options, LanguageModel& model, const MeasurementOptions& measurement, bool beginning)
      : options_(options), model_(model), calibration_(measurement), beginning_(beginning) {
    if (!options.given("explanations") && !options.given("bigram-text")) return;
    CHECK(options.given("calibrate"), "--explanations and --bigram-text need a text to be scaled on: --calibrate");
    std::error_code ignored;  // what is not there is refused where it is read
    CHECK(!fs::equivalent(options.get_text("calibrate"), options.get_text("text"), ignored),
          "--calibrate: is --text; what is scaled on a text looks too good on it");
    const int64_t tokens = options.get_integer("calibrate-tokens", 0, INT64_MAX),
                  length = calibration_.plan.context_length;
    CHECK(tokens == 0 || tokens >= length, "--calibrate-tokens: {} are not one context of {}", tokens, length);
    calibration_.contexts = tokens / length;
    identity_ = fmt::format(" {} {}", file_identity(options.get_text("calibrate")), tokens);
  }

  /// Adds a substitute for each autoencoder that has explanations; throws where none has.
  void add_latents(const std::vector<std::string>& paths, const std::vector<LoadedAutoencoder>& loaded,
                   std::vector<Substitute>& substitutes) {
    if (!options_.given("explanations")) return;
    const std::string folder = options_.get_text("explanations");
    for (size_t i = 0; i < paths.size(); ++i) {
      const std::string name = autoencoder_name(paths[i]), file = find_explanations(folder, name, paths.size() == 1);
      if (file.empty()) continue;
      const Autoencoder& autoencoder = loaded[i].autoencoder;
      latents_.emplace_back(autoencoder, read_explanations(file), calibration_.plan);
      substitutes.push_back({name + " simulated", Substitute::Kind::simulated, &autoencoder, &latents_.back()});
      identity_ += fmt::format(" {}", file_identity(file));
    }
    CHECK(!latents_.empty(), "--explanations: '{}' holds no NAME/explanations.jsonl, NAME such as {}", folder,
          autoencoder_name(paths.front()));
    const auto text = contexts_of("calibrate");
    run_lower_parts(model_, *text, calibration_, "calibration", [&](const LowerPart& part) {
      for (SimulatedLatents& latents : latents_) latents.calibrate(part);
    });
    for (const Substitute& one : substitutes) {
      if (one.kind == Substitute::Kind::simulated) note(one);
    }
  }

  void add_bigrams(std::vector<Substitute>& substitutes) {
    if (!options_.given("bigram-text")) return;
    bigrams_.emplace(*contexts_of("bigram-text"), calibration_.plan.context_length, model_.sizes().vocabulary);
    bigrams_->smooth(*contexts_of("calibrate"), calibration_.contexts, calibration_.plan.skip_positions);
    substitutes.push_back({"bigrams", Substitute::Kind::bigrams, nullptr, nullptr, &*bigrams_});
    identity_ += fmt::format(" {}", file_identity(options_.get_text("bigram-text")));
    notes_ += fmt::format("bigrams: counted in {} tokens; single tokens' frequencies mixed in with {} pseudo-counts\n",
                          bigrams_->tokens(), bigrams_->pseudo_counts());
  }

  const std::string& identity() const { return identity_; }
  const std::string& notes() const { return notes_; }

 private:
  std::unique_ptr<ContextSource> contexts_of(const std::string& option) {
    return text_contexts(read_documents(options_.get_text(option)), model_.tokenizer(),
                         calibration_.plan.context_length, beginning_);
  }

  void note(const Substitute& one) {
    const int64_t latents = one.autoencoder->options().latents;
    int64_t silent = 0;
    for (int64_t latent = 0; latent < latents; ++latent) silent += one.simulated->scale(latent) > 0 ? 0 : 1;
    notes_ += fmt::format(
        "{}: {} of {} latents have an explanation, and with it {:.2f} % of the firings in the calibration text; {} "
        "latents are always 0\n",
        one.name, one.simulated->explained(), latents, 100 * one.simulated->explained_firings(), silent);
  }

  const Options& options_;
  LanguageModel& model_;
  MeasurementOptions calibration_;
  bool beginning_;
  std::deque<SimulatedLatents> latents_;  // where substitutes point to
  std::optional<BigramModel> bigrams_;
  std::string identity_, notes_;
};

int measure_all(const Options& options) {
  apply_threads(options);
  const std::vector<std::string> paths = find_autoencoders(options.get_texts("sae"));
  CHECK(!paths.empty(), "name autoencoders, such as the folder of a sweep (see --help)");
  const std::string text = options.get_text("text"), output = options.get_text("output");
  const auto device = open_device(options);
  LanguageModel model = LanguageModel::load(model_path(options), *device, model_precision(options));
  const std::vector<LoadedAutoencoder> loaded = load_all(paths, model, *device);
  const Subject subject = subject_of(loaded.front(), model);

  MeasurementOptions measurement;
  measurement.plan = {subject.place, subject.context_length,
                      options.get_integer("skip-positions", 0, subject.context_length)};
  const int64_t tokens = options.get_integer("tokens", 0, INT64_MAX);
  CHECK(tokens == 0 || tokens >= subject.context_length, "--tokens: {} are not one context of {}", tokens,
        subject.context_length);
  measurement.contexts = tokens / subject.context_length;
  measurement.batch_contexts = options.get_integer("batch", 1, 1 << 16);
  const bool beginning = wants_beginning(options, model.tokenizer(), subject.beginning);
  Simulation simulation(options, model, measurement, beginning);
  catch_interrupts();
  const auto source = text_contexts(read_documents(text), model.tokenizer(), subject.context_length, beginning);
  prepare_output(output, options.get_flag("resume"), options.get_flag("overwrite"));
  options.write_effective(output + "/options.txt");
  measurement.sums_file = output + "/sums.json";
  measurement.identity =
      fmt::format("{} {} {} {} {} {} {}", file_identity(model_path(options)), file_identity(text), tokens, beginning,
                  measurement.plan.skip_positions, measurement.batch_contexts, options.get_text("precision"));
  std::vector<Substitute> substitutes = {{"original", Substitute::Kind::original, nullptr},
                                         {"zero", Substitute::Kind::zero, nullptr},
                                         {"mean", Substitute::Kind::mean, nullptr}};
  for (size_t i = 0; i < paths.size(); ++i) {
    substitutes.push_back({autoencoder_name(paths[i]), Substitute::Kind::autoencoder, &loaded[i].autoencoder});
    measurement.identity = fmt::format("{} {}", measurement.identity, file_identity(paths[i]));
  }
  simulation.add_latents(paths, loaded, substitutes);
  simulation.add_bigrams(substitutes);
  measurement.identity += simulation.identity();
  const DownstreamResults results = measure(model, *source, measurement, substitutes);
  write_downstream_csv(output + "/downstream.csv", results);
  const std::string site =
      subject.place.site == Site::resid_post ? "" : fmt::format(" {}", name_of(subject.place.site));
  draw_downstream(output + "/downstream", fmt::format("{}, block {}{}", model.title(), subject.place.layer, site),
                  results);
  if (!simulation.notes().empty()) write_file(output + "/simulation.txt", simulation.notes(), IfExists::replace);
  fmt::print("{}{}{} tokens predicted from replaced positions; {}/downstream.csv and .svg\n", downstream_table(results),
             simulation.notes(), results.rows.front().loss.tokens, output);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("downstream", description);
  declare(options);
  return sae::run_program(options, argc, argv, [&] { return measure_all(options); });
}
