#include "models/explanation/latent_queries.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>

#include "engine/error.h"
#include "engine/parallel.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/input_normalisation/input_normalisation.h"

namespace sae {
namespace {

/// Rows of one forward pass of one thread, as in the harvest: 8 contexts of 64; fewer where threads would have none.
constexpr int64_t most_rows = 512, fewest_rows = 64;
/// A text may be an eighth shorter than the longest of its batch: attention goes over all as if they were as long.
constexpr int64_t padding_part = 8;
/// Attention sees each text whole: at most this many times the rows of a batch.
constexpr int64_t most_shared = 4;

struct Text {
  std::span<const int32_t> tokens;
  std::vector<size_t> queries;  // that ask about it
};

bool shorter(std::span<const int32_t> a, std::span<const int32_t> b) {
  if (a.size() != b.size()) return a.size() < b.size();
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

/// The distinct texts, longest first.
std::vector<Text> distinct_texts(std::span<const ActivationQuery> queries) {
  std::vector<size_t> order(queries.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return shorter(queries[b].tokens, queries[a].tokens); });
  std::vector<Text> texts;
  for (const size_t query : order) {
    const auto tokens = queries[query].tokens;
    if (texts.empty() ||
        !std::equal(tokens.begin(), tokens.end(), texts.back().tokens.begin(), texts.back().tokens.end())) {
      texts.push_back({tokens, {}});
    }
    texts.back().queries.push_back(query);
  }
  return texts;
}

using Batch = std::span<const Text>;

/// Rows that a text needs beside those that it shares with the one before it.
int64_t rows_beside(const Text& text, const Text& before) {
  return static_cast<int64_t>(text.tokens.size()) - common_beginning(before.tokens, text.tokens);
}

/// Cuts texts, longest first, into batches; the first of each is its longest.
std::vector<Batch> cut(std::span<const Text> texts) {
  int64_t all_rows = 0;
  for (size_t i = 0; i < texts.size(); ++i) all_rows += rows_beside(texts[i], i == 0 ? Text() : texts[i - 1]);
  const int64_t batch_rows = std::clamp(all_rows / threads(), fewest_rows, most_rows);
  std::vector<Batch> batches;
  while (!texts.empty()) {
    const auto longest = static_cast<int64_t>(texts[0].tokens.size());
    const auto most = static_cast<size_t>(std::max<int64_t>(1, most_shared * batch_rows / longest));
    size_t count = 1;
    for (int64_t rows = longest; count < std::min(texts.size(), most); ++count) {
      rows += rows_beside(texts[count], texts[count - 1]);
      const int64_t shorter_by = longest - static_cast<int64_t>(texts[count].tokens.size());
      if (rows > batch_rows || shorter_by > longest / padding_part) break;
    }
    batches.push_back(texts.first(count));
    texts = texts.subspan(count);
  }
  return batches;
}

SharedTexts share(Batch batch) {
  std::vector<std::span<const int32_t>> texts;
  for (const Text& text : batch) texts.push_back(text.tokens);
  return SharedTexts(texts);
}

/// The activations of the place at the ends of the texts, [texts, width].
Tensor run_texts(const LanguageModel& model, SitePlace place, const SharedTexts& texts) {
  const Tensor rows = model.activations(texts, {&place, 1})[0];
  const Tensor ends = Tensor::from(model.device(), {static_cast<int64_t>(texts.ends.size())}, std::span(texts.ends));
  return require_dense("explain", gather_rows(rows, ends).value);
}

float value_in_row(const SparseRows& rows, const float* values, int64_t row, int64_t latent) {
  for (int64_t entry = rows.begin(row); entry < rows.end(row); ++entry) {
    if (rows.index[entry] == latent) return std::max(0.0f, values[entry]);
  }
  return 0;
}

}  // namespace

LatentQueries::LatentQueries(const LanguageModel& model, SitePlace place, const Autoencoder& autoencoder)
    : model_(model), place_(place), autoencoder_(autoencoder) {
  CHECK(autoencoder.options().width == model.width_of(place.site),
        "the autoencoder reads rows of width {}, {} has a width of {} there", autoencoder.options().width, model.name(),
        model.width_of(place.site));
  CHECK(0 <= place.layer && place.layer < model.sizes().layers, "the autoencoder is of block {}, {} has {} blocks",
        place.layer, model.name(), model.sizes().layers);
}

std::vector<float> LatentQueries::answer(std::span<const ActivationQuery> queries) {
  const auto start = std::chrono::steady_clock::now();
  for (const ActivationQuery& query : queries) {
    CHECK(0 <= query.latent && query.latent < autoencoder_.options().latents,
          "latent {} was asked for; the autoencoder has {}", query.latent, autoencoder_.options().latents);
    CHECK(!query.tokens.empty(), "the activation at the end of an empty text was asked for");
    tokens_asked_ += static_cast<int64_t>(query.tokens.size());
  }
  const std::vector<Text> texts = distinct_texts(queries);
  const std::vector<Batch> batches = cut(texts);
  std::vector<float> answers(queries.size(), 0.0f);
  const auto host = Device::open(DeviceKind::cpu);
  std::atomic<int64_t> rows_run = 0;
  model_.for_batches(static_cast<int64_t>(batches.size()), [&](int64_t i) {
    const Batch batch = batches[static_cast<size_t>(i)];
    const SharedTexts shared = share(batch);
    rows_run += static_cast<int64_t>(shared.tokens.size());
    const Tensor activations = run_texts(model_, place_, shared);
    const Tensor x = normalise(activations, autoencoder_.options().normalisation).rows;
    const Value latents = to_device(encode(autoencoder_, x), *host);
    const SparseRows rows = sparse_rows("explain", latents);
    const float* values = stored_values(latents).data<float>();
    for (size_t row = 0; row < batch.size(); ++row) {
      for (const size_t query : batch[row].queries) {
        answers[query] = value_in_row(rows, values, static_cast<int64_t>(row), queries[query].latent);
      }
    }
  });
  tokens_run_ += rows_run;
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return answers;
}

}  // namespace sae
