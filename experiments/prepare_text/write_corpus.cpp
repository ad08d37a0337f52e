#include "experiments/prepare_text/write_corpus.h"

#include <fmt/format.h>

#include <array>

#include "engine/error.h"
#include "engine/files/atomic_file.h"
#include "engine/files/json.h"

namespace sae::corpus {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 3> split_names = {"train", "validation", "test"};

struct Total {
  int64_t documents = 0, bytes = 0;
};

// [source][split], and the splits' sums behind the last source.
std::vector<std::array<Total, 3>> count(const std::vector<Document>& documents, size_t sources) {
  std::vector<std::array<Total, 3>> totals(sources + 1);
  for (const Document& document : documents) {
    for (const size_t row : {static_cast<size_t>(document.source), sources}) {
      Total& total = totals[row][static_cast<size_t>(document.split)];
      ++total.documents;
      total.bytes += static_cast<int64_t>(document.text.size());
    }
  }
  return totals;
}

double share(const Total& part, const Total& whole) {
  return whole.bytes == 0 ? 0.0 : static_cast<double>(part.bytes) / static_cast<double>(whole.bytes);
}

std::string table_as_csv(const std::vector<Document>& documents, const std::vector<Source>& sources) {
  const auto totals = count(documents, sources.size());
  std::string csv = "split,source,kind,licence,documents,bytes,share\n";
  for (size_t split = 0; split < 3; ++split) {
    for (size_t i = 0; i < sources.size(); ++i) {
      const Total& total = totals[i][split];
      csv += fmt::format("{},{},{},\"{}\",{},{},{:.4f}\n", split_names[split], sources[i].package,
                         name_of(sources[i].kind), sources[i].licence, total.documents, total.bytes,
                         share(total, totals.back()[split]));
    }
  }
  return csv;
}

void write_split(const fs::path& folder, Split split, const std::vector<Document>& documents,
                 const std::vector<Source>& sources) {
  AtomicFile file(folder / fmt::format("{}.jsonl", split_names[static_cast<size_t>(split)]), IfExists::replace);
  for (const Document& document : documents) {
    if (document.split != split) continue;
    Json line;
    line.set("source", sources[static_cast<size_t>(document.source)].package);
    line.set("id", document.id).set("text", document.text);
    file.write(line.dump() + "\n");
  }
  file.commit();
}

}  // namespace

void write_corpus(const fs::path& folder, const std::vector<Document>& documents, const std::vector<Source>& sources,
                  const std::string& options, bool overwrite) {
  CHECK(overwrite || !fs::exists(folder), "{}: exists already; give another --output, or --overwrite", folder.string());
  const fs::path part = folder.string() + ".part";
  std::error_code error;
  fs::remove_all(part, error);
  fs::create_directories(part, error);
  CHECK(!error, "{}: cannot be made: {}", part.string(), error.message());
  for (const Split split : splits) write_split(part, split, documents, sources);
  write_file(part / "sources.csv", table_as_csv(documents, sources), IfExists::replace);
  write_file(part / "options.cfg", options, IfExists::replace);
  fs::remove_all(folder, error);
  fs::rename(part, folder, error);
  CHECK(!error, "{}: cannot be renamed to '{}': {}", part.string(), folder.string(), error.message());
}

std::string corpus_table(const std::vector<Document>& documents, const std::vector<Source>& sources) {
  const auto totals = count(documents, sources.size());
  std::string table = fmt::format("{:<24} {:<10}", "source", "kind");
  for (const char* split : split_names) table += fmt::format(" | {:>10} docs      MB  share", split);
  table += '\n';
  for (size_t i = 0; i <= sources.size(); ++i) {
    const bool sum = i == sources.size();
    table += fmt::format("{:<24} {:<10}", sum ? "all" : sources[i].package, sum ? "" : name_of(sources[i].kind));
    for (size_t split = 0; split < 3; ++split) {
      const Total& total = totals[i][split];
      table += fmt::format(" | {:>15} {:>7.2f} {:>5.1f}%", total.documents, static_cast<double>(total.bytes) / 1e6,
                           100 * share(total, totals.back()[split]));
    }
    table += '\n';
  }
  return table;
}

}  // namespace sae::corpus
