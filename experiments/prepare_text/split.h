#pragma once

#include <cstdint>
#include <vector>

#include "experiments/prepare_text/documents.h"
#include "experiments/prepare_text/sources.h"

namespace sae::corpus {

/// Assigns each document to train (90 %), validation (5 %) or test (5 %) by a hash of seed and page: all documents of
/// one page go together, unless there are fewer than 200 pages, which would make splits of chance sizes.
void assign_splits(std::vector<Document>& documents, uint64_t seed);

/// Removes each validation document that shares a run of 13 words with a training document, and each test document that
/// shares one with a training or a validation document. Words are lower-cased (characters.h). Returns how many
/// documents went from each source, by the source's index.
std::vector<int64_t> remove_overlaps(std::vector<Document>& documents, int64_t sources);

/// How much of the corpus a source and a kind may be at most.
struct Shares {
  double source = 0.30, manual = 0.50, dictionary = 0.05;
};

/// The most bytes of each source that keep every share and `limit` (0: none), given how much there is of each. Where
/// all sources are a person's own, only `limit` holds. Throws sae::Error when no mixture keeps the shares, as with one
/// source alone.
std::vector<double> mixture(const std::vector<double>& available, const std::vector<Kind>& kinds, const Shares& shares,
                            double limit);

/// Keeps of each split what the mixture allows, the documents of a source in the order of a hash of seed and id, and
/// orders all documents by such a hash, so that any first part of the corpus is mixed like the whole. `megabytes`
/// (millions of bytes; 0: all) limits train, validation and test together.
std::vector<Document> select_documents(std::vector<Document> documents, const std::vector<Kind>& kinds,
                                       const Shares& shares, double megabytes, uint64_t seed);

}  // namespace sae::corpus
