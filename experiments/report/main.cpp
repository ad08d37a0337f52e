// A page on which a person looks at autoencoders and their latents.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "engine/error.h"
#include "engine/files/json.h"
#include "experiments/common/csv_table.h"
#include "experiments/common/device_option.h"
#include "experiments/common/model_option.h"
#include "experiments/common/options.h"
#include "experiments/common/progress.h"
#include "experiments/common/subject.h"
#include "experiments/common/training_options.h"
#include "experiments/report/report_folder.h"
#include "experiments/tokenize/printable.h"

namespace {

using namespace sae;
namespace fs = std::filesystem;
using Facts = std::vector<std::pair<std::string, std::string>>;

constexpr const char* description =
    R"(Writes a folder that opens in a browser from the disk: a table of the latents of autoencoders, searched by token, and
for each latent how often and how strongly it fires, texts on which it does (drawn at random first, then the strongest),
the tokens it promotes by itself, its neighbours, and its explanation where there is one.

  report runs/default/sweep --data runs/default/activations --output runs/default/report
  report runs/topk32 --data activations --latents 200 --include 164,2806 --explanations explanations --output out)";

void declare(Options& options) {
  options.group("Input and output")
      .positional("sae", "autoencoders: files, folders of runs, or a folder of compare_activations, trials left out")
      .text("data", "FOLDER", "activations, as harvest stores them")
      .text("split", "test", "train|validation|test", "whose texts are shown")
      .text("output", "FOLDER", "where the report goes")
      .flag("overwrite", "replace the report in --output")
      .integer("latents", 0, "N",
               "pages for N latents of each autoencoder: those with an explanation, and others that "
               "fired, drawn at random; 0: for all")
      .text("include", "LATENT,LATENT", "latents that get a page in any case")
      .text("explanations", "FOLDER", "NAME/explanations.jsonl for each autoencoder, as explain writes them")
      .text("downstream", "FOLDER", "results of the program downstream, to be shown beside")
      .text("compared", "FOLDER", "results of the program compare_explanations, to be shown beside")
      .text("figures", "FILE,FILE", "further figures, SVG; a sweep's own is shown anyway")
      .integer("seed", 0, "N", "of what is drawn at random");
  declare_data_options(options);
  options.group("With which model");
  declare_model(options);
  declare_device(options);
}

std::optional<Explanations> explanations_of(const Options& options, const std::string& name, bool single) {
  if (!options.given("explanations")) return std::nullopt;
  const std::string path = find_explanations(options.get_text("explanations"), name, single);
  if (path.empty()) return std::nullopt;
  Explanations by_latent;
  for (Explanation& one : read_explanations(path)) by_latent.emplace(one.latent, std::move(one));
  return by_latent;
}

/// What downstream measured of the autoencoder of that name; empty where there is no row of it.
Facts downstream_facts(const Options& options, const std::string& name) {
  Facts facts;
  if (!options.given("downstream")) return facts;
  const CsvTable table(options.get_text("downstream") + "/downstream.csv");
  for (size_t row = 0; row < table.rows(); ++row) {
    if (table.text(row, "name") != name) continue;
    for (const auto& [column, label] : Facts{{"normalised_mse", "normalised MSE"},
                                             {"delta_cross_entropy", "loss increase (nats)"},
                                             {"kl_divergence", "KL (nats)"}}) {
      facts.emplace_back(label, fmt::format("{:.4f}", table.number(row, column)));
    }
  }
  return facts;
}

/// What compare_explanations drew, with the ratios over all latents that it wrote.
ReportFigure comparison_figure(const std::string& folder) {
  std::string caption = "Precision, recall and F1 of explanations by token patterns, on held-out text";
  const CsvTable ratios(folder + "/ratios.csv");
  for (size_t row = 0; row < ratios.rows(); ++row) {
    const auto cell = [&](const char* column) { return ratios.text(row, column); };
    if (cell("slice") != "all" || cell("threshold") != "0") continue;
    caption += fmt::format("; {} over {}: recall times {}, precision times {} (95 % intervals {} to {}, {} to {})",
                           cell("first"), cell("second"), cell("recall"), cell("precision"), cell("recall_low"),
                           cell("recall_high"), cell("precision_low"), cell("precision_high"));
  }
  return {folder + "/explanations.svg", caption};
}

Facts card_of(const LoadedAutoencoder& loaded, const Firings& firings, const SplitRows& rows, const Facts& downstream) {
  const AutoencoderOptions& model = loaded.autoencoder.options();
  int64_t stored = 0;
  for (const auto& of_latent : firings) stored += static_cast<int64_t>(of_latent.size());
  Facts facts = {{"activation", std::string(name_of(model.activation))}};
  if (facts_of(model.activation).chooses_k) facts.emplace_back("k", fmt::format("{}", model.k));
  if (model.penalty > 0) facts.emplace_back("penalty", fmt::format("{:.4g}", model.penalty));
  facts.emplace_back("L0", fmt::format("{:.2f}", static_cast<double>(stored) / static_cast<double>(rows.rows())));
  facts.insert(facts.end(), downstream.begin(), downstream.end());
  return facts;
}

class Report {
 public:
  Report(const Options& options, LanguageModel& model, const SplitRows& rows, Device& device)
      : options_(options),
        model_(model),
        rows_(rows),
        device_(device),
        seed_(static_cast<uint64_t>(options.get_integer("seed", 0, int64_t{1} << 62))),
        folder_(options.get_text("output"), rows, options.get_integer("skip-positions"), seed_) {}

  void write(const std::vector<std::string>& paths) {
    const Tokenizer& tokenizer = model_.tokenizer();
    folder_.write_text(model_.sizes().vocabulary, [&](int32_t id) {  // rows that pad the embedding are no tokens
      return id < tokenizer.size() ? printable(tokenizer.piece(id)) : fmt::format("[padding {}]", id);
    });
    Progress progress("report", static_cast<int64_t>(paths.size()), "autoencoders");
    for (size_t i = 0; i < paths.size(); ++i) {
      add(paths[i], paths.size() == 1);
      progress.update(static_cast<int64_t>(i) + 1, autoencoder_name(paths[i]));
    }
    progress.finish();
    const StoreDescription& store = rows_.store().description();
    Facts card = {{"model", store.model},
                  {"activations",
                   fmt::format("block {}, {}, contexts of {} tokens", store.layer, store.site, store.context_length)},
                  {"rows", fmt::format("{}: {}", options_.get_text("split"), rows_.selection().describe())}};
    for (const auto& [key, value] : store.notes) {
      if (key == "input") card.emplace_back("text", value);
    }
    folder_.finish(fmt::format("{}, block {}", store.model, store.layer), card, figures());
  }

 private:
  void add(const std::string& path, bool single) {
    const LoadedAutoencoder loaded = load_autoencoder(path, device_);
    check_subject(path, loaded, model_);
    const Subject subject = subject_of(loaded, model_);
    const StoreDescription& store = rows_.store().description();
    CHECK(subject.place.layer == store.layer && name_of(subject.place.site) == store.site,
          "{}: the autoencoder reads block {} {}, the store holds block {} {}", path, subject.place.layer,
          name_of(subject.place.site), store.layer, store.site);
    const std::string name = autoencoder_name(path);
    const Firings firings = find_firings(loaded.autoencoder, rows_);
    const std::optional<Explanations> explanations = explanations_of(options_, name, single);
    std::vector<int64_t> included;
    if (options_.given("include")) included = options_.get_integers("include");
    if (explanations) {
      for (const auto& [latent, explanation] : *explanations) included.push_back(latent);
    }
    AutoencoderReport report;
    report.name = name;
    report.card = card_of(loaded, firings, rows_, downstream_facts(options_, name));
    report.latents = loaded.autoencoder.options().latents;
    report.dead = std::count_if(firings.begin(), firings.end(), [](const auto& one) { return one.empty(); });
    report.shown = sample_latents(firings, options_.get_integer("latents", 0, INT64_MAX), included, seed_);
    report.directions = direction_reports(model_, loaded.autoencoder, subject.place.site, report.shown);
    report.firings = &firings;
    report.explanations = explanations ? &*explanations : nullptr;
    folder_.add_autoencoder(report);
  }

  std::vector<ReportFigure> figures() const {
    std::vector<ReportFigure> found;
    for (const std::string& path : options_.get_texts("sae")) {
      const std::string figure = path + "/mse_versus_l0.svg";
      if (fs::exists(figure)) found.push_back({figure, "Normalised mean squared error over L0, on test data"});
    }
    if (options_.given("downstream")) {
      found.push_back({options_.get_text("downstream") + "/downstream.svg",
                       "What reading reconstructions costs the language model, over L0 and over normalised MSE"});
    }
    if (options_.given("compared")) found.push_back(comparison_figure(options_.get_text("compared")));
    if (options_.given("figures")) {
      for (const std::string& file : split_at_commas(options_.get_text("figures"))) {
        found.push_back({file, fs::path(file).stem().string()});
      }
    }
    return found;
  }

  const Options& options_;
  LanguageModel& model_;
  const SplitRows& rows_;
  Device& device_;
  uint64_t seed_;
  ReportFolder folder_;
};

int write_report(const Options& options) {
  apply_threads(options);
  const std::vector<std::string> paths = find_autoencoders(options.get_texts("sae"));
  CHECK(!paths.empty(), "name autoencoders, such as the folder of a sweep (see --help)");
  const std::string split = options.get_text("split"), output = options.get_text("output");
  CHECK(split == "train" || split == "validation" || split == "test",
        "--split: expected train, validation or test, got '{}'", split);
  const auto device = open_device(options);
  const SplitRows rows(options.get_text("data") + "/" + split, data_options(options), *device);
  LanguageModel model = LanguageModel::load(model_path(options), *device, model_precision(options));
  CHECK(rows.store().description().model == model.title(), "{}: holds activations of '{}', this model is '{}'",
        rows.store().folder(), rows.store().description().model, model.title());
  prepare_output(output, false, options.get_flag("overwrite"));
  options.write_effective(output + "/options.txt");
  Report(options, model, rows, *device).write(paths);
  fmt::print("{}/index.html\n", fs::absolute(output).lexically_normal().string());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  sae::Options options("report", description);
  declare(options);
  return sae::run_program(options, argc, argv, [&] { return write_report(options); });
}
