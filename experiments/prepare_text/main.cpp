// Makes the text that models read: train, validation and test documents from unpacked Debian packages, or from a folder
// of a person's own text.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "engine/error.h"
#include "experiments/common/options.h"
#include "experiments/prepare_text/bytes.h"
#include "experiments/prepare_text/documents.h"
#include "experiments/prepare_text/sources.h"
#include "experiments/prepare_text/split.h"
#include "experiments/prepare_text/write_corpus.h"

namespace sae::corpus {
namespace {

void report(const std::string& name, const std::vector<Document>& documents, const DocumentCounts& counts) {
  int64_t bytes = 0;
  for (const Document& document : documents) bytes += static_cast<int64_t>(document.text.size());
  fmt::print(stderr, "  {:<24} {:>6.2f} MB, {:>5} documents; left out: {} repeated paragraphs, {} short documents, ",
             name, static_cast<double>(bytes) / 1e6, documents.size(), counts.repeated_paragraphs, counts.too_short);
  fmt::print(stderr, "{} licence texts, {} pages not in UTF-8\n", counts.licence_texts, counts.invalid_utf8);
}

// The one source of --text, or the table's.
std::vector<Source> list_sources(const Options& options) {
  if (options.given("text")) {
    Source own;
    own.package = "own";
    own.folder = options.get_text("text");
    return {own};
  }
  const std::string table = options.get_text("sources");
  return parse_sources(read_bytes(table), table);
}

std::vector<Document> read_documents(const Options& options, const std::vector<Source>& sources) {
  std::vector<Document> all;
  for (size_t i = 0; i < sources.size(); ++i) {
    const Source& source = sources[i];
    DocumentRules rules;
    std::vector<Page> pages;
    if (source.kind == Kind::own) {
      rules.only_prose = false;
      rules.min_bytes = 1;
      pages = read_folder(source.folder);
    } else {
      pages = read_source(source, std::filesystem::path(options.get_text("packages")) / source.package);
    }
    DocumentCounts counts;
    std::vector<Document> documents =
        make_documents(source.package, static_cast<int64_t>(i), std::move(pages), rules, counts);
    report(source.package, documents, counts);
    std::move(documents.begin(), documents.end(), std::back_inserter(all));
  }
  return all;
}

int prepare(const Options& options) {
  CHECK(options.given("text") != (options.given("sources") && options.given("packages")),
        "expected either --sources with --packages, or --text (see --help)");
  const std::string output = options.get_text("output");
  const bool overwrite = options.get_flag("overwrite");
  CHECK(overwrite || !std::filesystem::exists(output), "{}: exists already; give another --output, or --overwrite",
        output);
  const auto seed = static_cast<uint64_t>(options.get_integer("seed"));

  const std::vector<Source> sources = list_sources(options);
  std::vector<Kind> kinds;
  for (const Source& source : sources) kinds.push_back(source.kind);
  std::vector<Document> documents = read_documents(options, sources);
  assign_splits(documents, seed);
  const std::vector<int64_t> removed = remove_overlaps(documents, static_cast<int64_t>(sources.size()));
  documents = select_documents(std::move(documents), kinds, Shares{}, options.get_number("megabytes", 0, 1e6), seed);

  fmt::print("Held-out documents dropped, as they share a run of 13 words with another split:");
  for (size_t i = 0; i < sources.size(); ++i) {
    if (removed[i] > 0) fmt::print(" {} of {};", removed[i], sources[i].package);
  }
  fmt::print("\n{}", corpus_table(documents, sources));
  for (const Split split : splits) {
    const bool any =
        std::any_of(documents.begin(), documents.end(), [&](const Document& d) { return d.split == split; });
    CHECK(any, "this is too little text: no document is left for one of train, validation and test; give more of it");
  }
  write_corpus(output, documents, sources, options.effective(), overwrite);
  return 0;
}

}  // namespace
}  // namespace sae::corpus

int main(int argc, char** argv) {
  sae::Options options(
      "prepare_text",
      "Makes the text that models read: documents in train.jsonl, validation.jsonl and test.jsonl, split\n"
      "by page, none of the held-out ones sharing a run of 13 words with another split.\n\n"
      "  prepare_text --sources experiments/prepare_text/sources.tsv --packages FOLDER --output FOLDER\n"
      "  prepare_text --text FOLDER --output FOLDER");
  options.text("sources", "FILE", "the table of sources (experiments/prepare_text/sources.tsv)")
      .text("packages", "FOLDER", "holds each source's unpacked Debian package, under the package's name")
      .text("text", "FOLDER", "instead of these two: your own .txt, .md and .html files, each a page")
      .text("output", "FOLDER", "the folder to make")
      .integer("seed", 0, "N", "of the splits and of the documents' order")
      .number("megabytes", 0, "N", "keep at most so many million bytes, in the same mixture; 0 keeps all")
      .flag("overwrite", "replace the output folder");
  return sae::run_program(options, argc, argv, [&] { return sae::corpus::prepare(options); });
}
