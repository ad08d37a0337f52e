#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/prepare_text/documents.h"
#include "experiments/prepare_text/sources.h"

namespace sae::corpus {

/// Writes train.jsonl, validation.jsonl and test.jsonl, a document a line as {"source", "id", "text"}, sources.csv
/// with the table below and each source's licence, and the options in effect as options.cfg. The folder appears under
/// its name only once it is complete. Throws sae::Error when it exists already and `overwrite` is not given, or when
/// the disk is full.
void write_corpus(const std::filesystem::path& folder, const std::vector<Document>& documents,
                  const std::vector<Source>& sources, const std::string& options, bool overwrite);

/// Documents, megabytes and share of each source in each split, for people.
std::string corpus_table(const std::vector<Document>& documents, const std::vector<Source>& sources);

}  // namespace sae::corpus
