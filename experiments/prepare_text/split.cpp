#include "experiments/prepare_text/split.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "engine/error.h"
#include "experiments/prepare_text/characters.h"

namespace sae::corpus {
namespace {

constexpr size_t run_words = 13;

// Streams of the seed: the split must not depend on the order and the other way round.
constexpr uint64_t split_stream = 1, order_stream = 2;

uint64_t hash_in_stream(uint64_t seed, uint64_t stream, std::string_view text) {
  return seeded_hash(seed * 4 + stream, text);
}

// Calls visit(hash) for each run of 13 words: a polynomial of the words' hashes, modulo 2^64.
template <class Visit>
void for_each_run(std::string_view text, Visit visit) {
  constexpr uint64_t base = 0x9E3779B97F4A7C15u;
  uint64_t power = 1;
  for (size_t i = 0; i < run_words; ++i) power *= base;
  const std::vector<uint64_t> words = word_hashes(text);
  uint64_t hash = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    hash = hash * base + words[i];
    if (i >= run_words) hash -= words[i - run_words] * power;
    if (i + 1 >= run_words) visit(hash);
  }
}

double sum(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

double sum_of_kind(const std::vector<double>& values, const std::vector<Kind>& kinds, Kind kind) {
  double total = 0;
  for (size_t i = 0; i < values.size(); ++i) total += kinds[i] == kind ? values[i] : 0;
  return total;
}

// Shrinks all sources of a kind alike when together they are above their share.
void limit_kind(std::vector<double>& kept, const std::vector<Kind>& kinds, Kind kind, double most) {
  const double total = sum_of_kind(kept, kinds, kind);
  if (total <= most) return;
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kinds[i] == kind) kept[i] *= most / total;
  }
}

std::string_view page_of(const Document& document) {
  const std::string_view id = document.id;
  return id.substr(0, id.rfind('#'));
}

double bytes_of(const Document& document) { return static_cast<double>(document.text.size()); }

}  // namespace

void assign_splits(std::vector<Document>& documents, uint64_t seed) {
  constexpr size_t few_pages = 200;
  std::unordered_set<std::string_view> pages;
  for (const Document& document : documents) pages.insert(page_of(document));
  const bool by_page = pages.size() >= few_pages;
  for (Document& document : documents) {
    const std::string_view unit = by_page ? page_of(document) : std::string_view(document.id);
    const uint64_t place = hash_in_stream(seed, split_stream, unit) % 100;
    document.split = place < 90 ? Split::train : place < 95 ? Split::validation : Split::test;
  }
}

std::vector<int64_t> remove_overlaps(std::vector<Document>& documents, int64_t sources) {
  constexpr unsigned in_validation = 1, in_test = 2, in_train = 4;
  std::unordered_map<uint64_t, unsigned> held_out;
  for (const Document& document : documents) {
    if (document.split == Split::train) continue;
    const unsigned bit = document.split == Split::validation ? in_validation : in_test;
    for_each_run(document.text, [&](uint64_t run) { held_out[run] |= bit; });
  }
  for (const Document& document : documents) {
    if (document.split != Split::train) continue;
    for_each_run(document.text, [&](uint64_t run) {
      if (const auto found = held_out.find(run); found != held_out.end()) found->second |= in_train;
    });
  }
  std::vector<int64_t> removed(static_cast<size_t>(sources), 0);
  std::erase_if(documents, [&](const Document& document) {
    if (document.split == Split::train) return false;
    const unsigned others = document.split == Split::validation ? in_train : in_train | in_validation;
    bool shared = false;
    for_each_run(document.text, [&](uint64_t run) { shared = shared || (held_out[run] & others) != 0; });
    removed[static_cast<size_t>(document.source)] += shared;
    return shared;
  });
  return removed;
}

std::vector<double> mixture(const std::vector<double>& available, const std::vector<Kind>& kinds, const Shares& shares,
                            double limit) {
  std::vector<double> kept = available;
  const bool own = std::all_of(kinds.begin(), kinds.end(), [](Kind kind) { return kind == Kind::own; });
  // Each limit lowers the total, which lowers the limits: the total falls to the largest that keeps them all.
  for (double before = sum(kept) + 2, total = sum(kept); !own && total > 1 && total < before - 0.5;) {
    before = total;
    limit_kind(kept, kinds, Kind::manual, shares.manual * total);
    limit_kind(kept, kinds, Kind::dictionary, shares.dictionary * total);
    for (double& bytes : kept) bytes = std::min(bytes, shares.source * total);
    total = sum(kept);
  }
  CHECK(
      own || sum(available) == 0 || sum(kept) > 0.01 * sum(available),
      "no mixture of the sources keeps at most {:.0f} % of one source, {:.0f} % manuals and {:.0f} % dictionaries; add "
      "sources",
      100 * shares.source, 100 * shares.manual, 100 * shares.dictionary);
  const double scale = limit > 0 ? std::min(1.0, limit / std::max(1.0, sum(kept))) : 1.0;
  for (double& bytes : kept) bytes *= scale;
  return kept;
}

std::vector<Document> select_documents(std::vector<Document> documents, const std::vector<Kind>& kinds,
                                       const Shares& shares, double megabytes, uint64_t seed) {
  std::vector<std::pair<uint64_t, Document>> ordered;
  for (Document& document : documents) {
    ordered.emplace_back(hash_in_stream(seed, order_stream, document.id), std::move(document));
  }
  std::sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second.id < b.second.id;
  });

  double all_bytes = 0;
  for (const auto& entry : ordered) all_bytes += bytes_of(entry.second);
  std::vector<Document> selected;
  for (const Split split : splits) {
    std::vector<double> available(kinds.size(), 0);
    for (const auto& [hash, document] : ordered) {
      if (document.split == split) available[static_cast<size_t>(document.source)] += bytes_of(document);
    }
    const double limit = megabytes > 0 ? 1e6 * megabytes * sum(available) / all_bytes : 0;
    const std::vector<double> most = mixture(available, kinds, shares, limit);
    std::vector<double> taken(kinds.size(), 0);
    for (auto& [hash, document] : ordered) {
      if (document.split != split) continue;
      const auto source = static_cast<size_t>(document.source);
      taken[source] += bytes_of(document);  // once full, a source stays full: a smaller corpus is part of a larger one
      if (taken[source] <= most[source] + 0.5) selected.push_back(std::move(document));
    }
  }
  return selected;
}

}  // namespace sae::corpus
