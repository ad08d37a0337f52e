#include "experiments/common/subject.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "engine/error.h"
#include "engine/files/json.h"
#include "experiments/common/csv_table.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

constexpr const char* saved_name = "autoencoder.safetensors";

std::string note(const Metadata& notes, std::string_view key) {
  const auto found = std::find_if(notes.begin(), notes.end(), [&](const auto& item) { return item.first == key; });
  return found == notes.end() ? "" : found->second;
}

/// The folders that results.csv of a sweep names for its points at all of the tokens, in its order.
std::vector<std::string> whole_runs(const std::string& path) {
  const CsvTable results(path);
  std::vector<std::string> runs;
  for (size_t row = 0; row < results.rows(); ++row) {
    const std::string& run = results.text(row, "run");
    const bool is_new = std::find(runs.begin(), runs.end(), run) == runs.end();  // two points may come to one run
    if (results.number(row, "part") == 1 && run != "-" && is_new) runs.push_back(run);
  }
  CHECK(!runs.empty(), "{}: names no run", path);
  return runs;
}

int64_t integer_note(const Metadata& notes, std::string_view key, int64_t otherwise) {
  const std::string text = note(notes, key);
  return text.empty() ? otherwise : Json::parse(text, std::string(key)).integer();
}

}  // namespace

Subject subject_of(const LoadedAutoencoder& loaded, const LanguageModel& model) {
  Subject subject;
  subject.model = note(loaded.notes, "model");
  subject.place.layer = integer_note(loaded.notes, "layer", model.default_layer());
  const std::string site = note(loaded.notes, "site");
  if (!site.empty()) subject.place.site = parse_site(site);
  const int64_t length = integer_note(loaded.notes, "context_length", 0);
  if (length > 0) subject.context_length = length;
  const std::string beginning = note(loaded.notes, "beginning");
  if (!beginning.empty()) subject.beginning = beginning == "on";
  return subject;
}

bool contexts_have_beginning(const StoreDescription& store) { return !note(store.notes, "beginning").empty(); }

void check_subject(const std::string& path, const LoadedAutoencoder& loaded, const LanguageModel& model) {
  const Subject subject = subject_of(loaded, model);
  CHECK(subject.model.empty() || subject.model == model.title(),
        "{}: the autoencoder was trained on '{}', this model is '{}'; give that one with --model", path, subject.model,
        model.title());
  CHECK(loaded.autoencoder.options().width == model.width_of(subject.place.site),
        "{}: the autoencoder reads activations of width {}, the model's have {}", path,
        loaded.autoencoder.options().width, model.width_of(subject.place.site));
  CHECK(0 <= subject.place.layer && subject.place.layer < model.sizes().layers,
        "{}: the autoencoder is of block {}, the model has {} blocks", path, subject.place.layer, model.sizes().layers);
  CHECK(subject.context_length <= model.sizes().context,
        "{}: the autoencoder is of contexts of {}, the model sees up to {}", path, subject.context_length,
        model.sizes().context);
}

LoadedAutoencoder load_autoencoder(const std::string& path, const SplitRows& rows) {
  LoadedAutoencoder loaded = load_autoencoder(path, rows.device());
  CHECK(loaded.autoencoder.options().width == rows.width(),
        "{}: the autoencoder reads activations of width {}, those of {} have {}", path,
        loaded.autoencoder.options().width, rows.store().folder(), rows.width());
  return loaded;
}

std::vector<std::string> find_autoencoders(const std::vector<std::string>& paths) {
  std::vector<std::string> found;
  for (const std::string& path : paths) {
    CHECK(fs::exists(path), "'{}' does not exist", path);
    if (!fs::is_directory(path)) {
      found.push_back(path);
      continue;
    }
    if (fs::exists(fs::path(path) / saved_name)) {
      found.push_back((fs::path(path) / saved_name).string());
      continue;
    }
    const std::string results = (fs::path(path) / "results.csv").string();
    CHECK(fs::exists(results), "'{}' holds no autoencoder: expected {} in it, or the results.csv of a sweep", path,
          saved_name);
    for (const std::string& run : whole_runs(results)) {
      found.push_back((fs::path(path) / run / saved_name).string());
      CHECK(fs::exists(found.back()), "{}: names the run '{}', which has no {}", results, run, saved_name);
    }
  }
  std::map<std::string, std::string> file_of;  // by name
  for (const std::string& file : found) {
    const auto [other, first] = file_of.emplace(autoencoder_name(file), file);
    CHECK(first, "'{}' and '{}' are both called '{}', and results are told apart by name: rename one's folder",
          other->second, file, other->first);
  }
  return found;
}

std::string autoencoder_name(const std::string& path) {
  const fs::path file = fs::absolute(path).lexically_normal();
  return file.filename() == saved_name ? file.parent_path().filename().string() : file.stem().string();
}

std::string find_explanations(const std::string& folder, const std::string& name, bool single) {
  const fs::path own = fs::path(folder) / name / "explanations.jsonl", only = fs::path(folder) / "explanations.jsonl";
  if (fs::exists(own)) return own.string();
  return single && fs::exists(only) ? only.string() : "";
}

}  // namespace sae
