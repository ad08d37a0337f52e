// What an autoencoder's reconstruction costs the language model that reads it (Gao et al., Fig. 5).
#include <fmt/format.h>

#include <filesystem>

#include "engine/error.h"
#include "experiments/common/device_option.h"
#include "experiments/common/interrupt.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "experiments/common/subject.h"
#include "experiments/common/training_options.h"
#include "experiments/downstream/measurement.h"

namespace {

using namespace sae;
namespace fs = std::filesystem;

constexpr const char* description =
    R"(Puts autoencoders' reconstructions in the place of the activations they were trained on, lets the model go on from
there, and says how much worse it predicts held-out text: the increase of its loss (next-token cross-entropy) and the
divergence of its predictions, KL(original || replaced), for each autoencoder, with zeros and the mean activation as the
two ends. The first position of a context, an attention sink, keeps its activation, and what it predicts is not counted.

Writes into --output: downstream.csv, downstream.svg/.png/.gp, and sums.json, from which --resume goes on.

  downstream runs/default/sweep --text test.jsonl --output runs/default/downstream
  downstream a.safetensors runs/topk32 --text book.txt --tokens 8192 --output out)";

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
  catch_interrupts();
  const DownstreamResults results = measure(model, *source, measurement, substitutes);
  write_downstream_csv(output + "/downstream.csv", results);
  const std::string site =
      subject.place.site == Site::resid_post ? "" : fmt::format(" {}", name_of(subject.place.site));
  draw_downstream(output + "/downstream", fmt::format("{}, block {}{}", model.title(), subject.place.layer, site),
                  results);
  fmt::print("{}{} tokens predicted from replaced positions; {}/downstream.csv and .svg\n", downstream_table(results),
             results.rows.front().loss.tokens, output);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("downstream", description);
  declare(options);
  return sae::run_program(options, argc, argv, [&] { return measure_all(options); });
}
