#include "models/explanation/latent_queries.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "engine/error.h"
#include "engine/parallel.h"
#include "models/autoencoder/input_normalisation.h"

namespace sae {
namespace {

/// Rows of one forward pass of one thread, as in the harvest: 8 contexts of 64; fewer where threads would have none.
constexpr int64_t most_rows = 512, fewest_rows = 64;
/// A text may be padded by an eighth of its length to share a batch.
constexpr int64_t padding_part = 8;

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

/// Cuts texts, longest first, into batches; the first of each is its longest.
std::vector<Batch> cut(std::span<const Text> texts) {
  int64_t rows = 0;
  for (const Text& text : texts) rows += static_cast<int64_t>(text.tokens.size());
  const int64_t batch_rows = std::clamp(rows / threads(), fewest_rows, most_rows);
  std::vector<Batch> batches;
  while (!texts.empty()) {
    const auto longest = static_cast<int64_t>(texts[0].tokens.size());
    const int64_t most = std::max<int64_t>(1, batch_rows / longest);
    size_t count = 1;
    while (count < texts.size() && static_cast<int64_t>(count) < most &&
           longest - static_cast<int64_t>(texts[count].tokens.size()) <= longest / padding_part) {
      ++count;
    }
    batches.push_back(texts.first(count));
    texts = texts.subspan(count);
  }
  return batches;
}

/// Row `rows[i]` of x as row i.
Tensor rows_of(const Tensor& x, const std::vector<int64_t>& rows) {
  Writable some = Tensor::empty(x.device(), {static_cast<int64_t>(rows.size()), x.cols()}, Dtype::f32);
  float* to = some.data<float>();
  for (const int64_t row : rows) {
    x.device().copy(to, x.data<float>() + row * x.cols(), static_cast<size_t>(x.cols()) * sizeof(float));
    to += x.cols();
  }
  return std::move(some).freeze();
}

/// The activations of the place at the ends of a batch's texts, [texts, width].
Tensor run_texts(const LanguageModel& model, SitePlace place, Batch batch) {
  const size_t length = batch[0].tokens.size();
  std::vector<int32_t> ids(batch.size() * length, 0);
  std::vector<int64_t> ends;
  for (size_t i = 0; i < batch.size(); ++i) {
    const auto tokens = batch[i].tokens;
    std::copy(tokens.begin(), tokens.end(), ids.begin() + static_cast<std::ptrdiff_t>(i * length));
    ends.push_back(static_cast<int64_t>(i * length + tokens.size()) - 1);
  }
  const Tensor rows = model.activations(model.tokens(ids), static_cast<int64_t>(length), {&place, 1})[0];
  return rows_of(rows, ends);
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
  model_.for_batches(static_cast<int64_t>(batches.size()), [&](int64_t i) {
    const Batch batch = batches[static_cast<size_t>(i)];
    const Tensor activations = run_texts(model_, place_, batch);
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
  for (const Batch& batch : batches) {
    tokens_run_ += static_cast<int64_t>(batch.size() * batch[0].tokens.size());
  }
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return answers;
}

}  // namespace sae
