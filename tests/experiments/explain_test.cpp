#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <set>

#include "engine/files/activation_writer.h"
#include "experiments/common/interrupt.h"
#include "experiments/compare_explanations/score.h"
#include "experiments/explain/explain_latents.h"
#include "experiments/explain/search_options.h"
#include "ops/input_normalisation/input_normalisation.h"
#include "tests/models/reference_llama.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using testing::GgufWriter;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::ReferenceLlama;

constexpr int64_t length = 8, width = 64, latents = 24;

std::string letter(int32_t token) { return token == 0 ? "|" : std::string(1, static_cast<char>('a' + token - 1)); }

/// A tiny model over the letters a to o, a store of its activations after block 1, and an autoencoder with random
/// weights.
class Explain : public testing::CpuTest {
 protected:
  Explain() {
    GgufWriter file = reference_.write(9);
    file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "smollm");
    std::vector<std::string> vocabulary = {"<|endoftext|>"};
    for (char name = 'a'; name < 'q'; ++name) vocabulary.emplace_back(1, name);
    vocabulary.back() = "ab";  // token 16
    file.texts("tokenizer.ggml.tokens", vocabulary).texts("tokenizer.ggml.merges", {"a b"});
    file.integer("tokenizer.ggml.eos_token_id", 0);
    model_ = std::make_unique<LanguageModel>(
        LanguageModel::load(folder_.write("tiny.gguf", file.bytes()), device_, Precision::f32));
    for (uint64_t i = 0; i < 40 * length; ++i) ids_.push_back(static_cast<int32_t>(Philox(3, 0).below(i, 16)) + 1);
    write_store("store", 1, model_->title());
  }

  void write_store(const std::string& name, int64_t layer, const std::string& model, bool with_tokens = true) {
    StoreDescription description;
    description.model = model;
    description.layer = layer;
    description.site = "resid_post";
    description.width = width;
    description.context_length = length;
    ActivationWriter writer(folder_.path(name), description, IfStoreExists::refuse);
    const SitePlace place = {1, Site::resid_post};
    const Tensor rows = model_->activations(model_->tokens(ids_), length, {&place, 1})[0];
    const std::vector<int32_t> tokens(ids_.begin(), ids_.end());
    std::vector<uint16_t> positions;
    for (size_t i = 0; i < ids_.size(); ++i) positions.push_back(static_cast<uint16_t>(i % length));
    const std::vector<int32_t> documents(ids_.size(), 0);
    const std::span<const float> values(rows.data<float>(), static_cast<size_t>(rows.elements()));
    if (with_tokens) {
      writer.append(values, tokens, positions, documents);
    } else {
      writer.append(values);
    }
    writer.finish();
  }

  Autoencoder autoencoder(Activation activation) const {
    AutoencoderOptions options;
    options.width = width;
    options.latents = latents;
    options.activation = activation;
    options.k = 3;
    return Autoencoder::initialise(options, Tensor::zeros(device_, {width}, Dtype::f32), 5);
  }

  TemporaryFolder folder_;
  ReferenceLlama reference_;
  std::unique_ptr<LanguageModel> model_;
  std::vector<int32_t> ids_;
};

TEST_F(Explain, QueriesAreAnsweredAsTheModelWould) {
  const SitePlace place = {1, Site::resid_post};
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const Autoencoder sae = autoencoder(activation);
    LatentQueries queries(*model_, place, sae);
    std::vector<ActivationQuery> asked;
    for (size_t i = 0; i < 30; ++i) {
      asked.push_back({static_cast<int64_t>(i) % latents, std::span(ids_).subspan(i * 9, 1 + i % 13)});
    }
    asked.push_back({3, asked[7].tokens});  // an equal text, another latent
    const std::vector<float> together = queries.answer(asked);
    const int64_t run = queries.tokens_run();
    EXPECT_GT(*std::max_element(together.begin(), together.end()), 0);
    for (size_t i = 0; i < asked.size(); ++i) {
      const auto tokens = asked[i].tokens;
      const auto count = static_cast<int64_t>(tokens.size());
      const Tensor rows = model_->activations(model_->tokens(tokens), count, {&place, 1})[0];
      const Value encoded =
          encode(sae, normalise(rows.slice_rows(count - 1, count), InputNormalisation::centred_unit_norm).rows);
      const SparseRows row = sparse_rows("test", encoded);
      float expected = 0;
      for (int64_t entry = row.begin(0); entry < row.end(0); ++entry) {
        if (row.index[entry] == asked[i].latent) expected = stored_values(encoded).data<float>()[entry];
      }
      EXPECT_NEAR(together[i], expected, 1e-5) << i;
      EXPECT_EQ(queries.answer({&asked[i], 1})[0], together[i]) << i;  // to the bit, whatever else is asked
    }
    EXPECT_LT(run, queries.tokens_asked());
  }
}

TEST_F(Explain, QueriesThatHaveNoAnswer) {
  const Autoencoder sae = autoencoder(Activation::topk);
  LatentQueries queries(*model_, {1, Site::resid_post}, sae);
  const auto ask = [&](int64_t latent, std::span<const int32_t> tokens) {
    const ActivationQuery query = {latent, tokens};
    return queries.answer({&query, 1});
  };
  EXPECT_REFUSED(ask(latents, std::span(ids_).first(2)), "latent 24 was asked for; the autoencoder has 24");
  EXPECT_REFUSED(ask(0, {}), "an empty text");
  EXPECT_REFUSED(ask(0, std::span(ids_).first(41)), "contexts of 41 positions");
  EXPECT_TRUE(queries.answer({}).empty());
  EXPECT_REFUSED(LatentQueries(*model_, {2, Site::resid_post}, sae), "of block 2, tiny has 2 blocks");
}

TEST_F(Explain, ANeuronsAutoencoderIsAskedAsWell) {
  AutoencoderOptions options;
  options.width = model_->width_of(Site::mlp_hidden);
  options.latents = latents;
  options.k = 3;
  const Autoencoder sae = Autoencoder::initialise(options, Tensor::zeros(device_, {options.width}, Dtype::f32), 5);
  const SitePlace place = {0, Site::mlp_hidden};
  LatentQueries queries(*model_, place, sae);
  const Tensor rows = model_->activations(model_->tokens(std::span(ids_).first(6)), 6, {&place, 1})[0];
  const Value encoded = encode(sae, normalise(rows.slice_rows(5, 6), InputNormalisation::centred_unit_norm).rows);
  const SparseRows row = sparse_rows("test", encoded);
  ASSERT_GT(row.end(0), row.begin(0));
  const ActivationQuery query = {row.index[row.begin(0)], std::span(ids_).first(6)};
  EXPECT_EQ(queries.answer({&query, 1})[0], std::max(0.0f, stored_values(encoded).data<float>()[row.begin(0)]));
  EXPECT_REFUSED(LatentQueries(*model_, {0, Site::resid_post}, sae), "tiny has a width of 64 there");
}

TEST_F(Explain, StreamsKnowTheTokensBeforeARow) {
  const ActivationStore store(folder_.path("store"));
  const RowSelection selection(store, {.skip_positions = 1});
  const TokenStream stream(store, selection, 1), whole(store, selection, 0);
  ASSERT_EQ(stream.rows(), 40 * (length - 1));
  EXPECT_THAT(stream.context(0), ElementsAre(ids_[1]));
  EXPECT_THAT(whole.context(0), ElementsAre(ids_[0], ids_[1]));
  EXPECT_THAT(stream.context(8), ElementsAre(ids_[9], ids_[10]));  // the second context's row 2
  int64_t rows = 0;
  for (int32_t token = 0; token < 20; ++token) {
    for (const int32_t row : stream.rows_at(token)) EXPECT_EQ(stream.token(row), token);
    rows += static_cast<int64_t>(stream.rows_at(token).size());
  }
  EXPECT_EQ(rows, stream.rows());
  write_store("matrix", 1, "x", false);
  const ActivationStore matrix(folder_.path("matrix"));
  EXPECT_REFUSED(TokenStream(matrix, RowSelection(matrix, {}), 1), "rows without tokens");
}

TEST_F(Explain, FiringsAreThoseOfTheEncoder) {
  const ActivationStore store(folder_.path("store"));
  const RowSelection selection(store, {.skip_positions = 1});
  for (const Activation activation : {Activation::topk, Activation::relu}) {
    const Autoencoder sae = autoencoder(activation);
    const LatentFirings firings(sae, store, selection, device_);
    int64_t stored = 0;
    for (int64_t latent = 0; latent < latents; ++latent) {
      stored += firings.count(latent);
      EXPECT_TRUE(std::is_sorted(firings.rows_of(latent).begin(), firings.rows_of(latent).end()));
      for (const float value : firings.values_of(latent)) EXPECT_LE(value, firings.maximum(latent));
    }
    EXPECT_DOUBLE_EQ(firings.l0(), static_cast<double>(stored) / static_cast<double>(firings.rows()));
    EXPECT_LE(firings.l0(), activation == Activation::topk ? 3.0 : 24.0);
    const auto above = latents_above(firings, 0.2, 32, "store");
    for (const int64_t latent : above) EXPECT_GE(firings.density(latent), 0.2);
    EXPECT_REFUSED(latents_above(firings, 0.01, 32, "store"),
                   "store: has 280 rows, in which a latent of density 0.01 fires 2.8 times; 32 are needed: harvest at "
                   "least 3200 rows, or raise --density-floor");
  }
  EXPECT_THAT(sample_latents({1, 2, 3}, 5, 0), ElementsAre(1, 2, 3));
  const auto some = sample_latents({1, 2, 3, 4, 5, 6}, 3, 0);
  EXPECT_EQ(some.size(), 3u);
  EXPECT_TRUE(std::is_sorted(some.begin(), some.end()));
}

TEST_F(Explain, RefusesWhatDoesNotBelongTogether) {
  const ActivationStore store(folder_.path("store"));
  const LoadedAutoencoder right = {autoencoder(Activation::topk),
                                   {{"model", model_->title()},
                                    {"layer", "1"},
                                    {"site", "resid_post"},
                                    {"context_length", "8"},
                                    {"beginning", "off"}}};
  EXPECT_NO_THROW(check_same_subject("x", right, store));
  const auto with = [&](const char* key, const char* value) {
    LoadedAutoencoder other = {autoencoder(Activation::topk), right.notes};
    for (auto& [name, text] : other.notes) {
      if (name == key) text = value;
    }
    return other;
  };
  EXPECT_REFUSED(check_same_subject("x", with("layer", "0"), store), "x: was trained on activations of layer '0'");
  EXPECT_REFUSED(check_same_subject("x", with("model", "other"), store), "of model 'other'");
  EXPECT_REFUSED(check_same_subject("x", with("site", "mlp_out"), store), "of site 'mlp_out'");
  AutoencoderOptions narrow;
  narrow.width = 32;
  narrow.latents = 8;
  narrow.k = 2;
  const LoadedAutoencoder other = {Autoencoder::initialise(narrow, Tensor::zeros(device_, {32}, Dtype::f32), 0), {}};
  EXPECT_REFUSED(check_same_subject("x", other, store), "x: reads rows of width 32");
  write_store("foreign", 1, "another model");
  EXPECT_REFUSED(check_same_model(*model_, ActivationStore(folder_.path("foreign"))), "of 'another model', the model");
  write_store("deep", 5, model_->title());
  EXPECT_REFUSED(check_same_model(*model_, ActivationStore(folder_.path("deep"))),
                 "of block 5, the model has 2 blocks");
  StoreDescription description = store.description();
  EXPECT_REFUSED(prefix_option("bos", *model_, description), "separator or none, got 'bos'");
  EXPECT_THAT(prefix_option("separator", *model_, description), ElementsAre(0));
  EXPECT_THAT(prefix_option("none", *model_, description), IsEmpty());
  description.notes.emplace_back("beginning", "every context starts with the model's beginning-of-text token");
  EXPECT_REFUSED(prefix_option("separator", *model_, description), "names no beginning-of-text token");
  EXPECT_REFUSED(check_same_subject("x", with("beginning", "on"), store), "of beginning 'on'");
  EXPECT_NE(fingerprint(autoencoder(Activation::topk)), fingerprint(autoencoder(Activation::relu)));
}

/// Every latent fires on one letter: latent 0 on a, ...
class ExplainRun : public Explain {
 protected:
  ExplainRun() : store_(folder_.path("store")), selection_(store_, {.skip_positions = 1}) {
    plan_.latents = {0, 2, 5};
    plan_.examples = {4, 4, 0};
    plan_.search.pad = 16;
    plan_.search.prefix = {0};
    plan_.identity = "toy";
    plan_.folder = folder_.path("out");
    plan_.label = "test";
  }
  ExplainResult run() {
    const Autoencoder sae = autoencoder(Activation::topk);
    const LatentFirings firings(sae, store_, selection_, device_);
    const TokenStream stream(store_, selection_, 1);
    return explain_latents(plan_, firings, stream, letter, [&](std::span<const ActivationQuery> queries) {
      std::vector<float> answers;
      for (const ActivationQuery& query : queries) {
        EXPECT_EQ(query.tokens.front(), 0);
        answers.push_back(query.tokens.size() > 2 ? 1.0f : 0.0f);
      }
      ++rounds_;
      return answers;
    });
  }

  ActivationStore store_;
  RowSelection selection_;
  ExplainPlan plan_;
  int64_t rounds_ = 0;
};

TEST_F(ExplainRun, WritesALineForEachLatentAndGoesOn) {
  const ExplainResult result = run();
  EXPECT_FALSE(result.interrupted);
  ASSERT_EQ(result.explanations.size(), 3u);
  EXPECT_EQ(result.explanations[1].latent, 2);
  EXPECT_EQ(result.explanations[1].examples, 4);
  EXPECT_EQ(result.explanations[1].held_out, 4);
  EXPECT_GT(result.explanations[1].tokens_asked, 0);
  EXPECT_EQ(read_explanations(folder_.path("out/explanations.jsonl")).size(), 3u);
  EXPECT_FALSE(std::filesystem::exists(folder_.path("out/progress.jsonl")));
  EXPECT_REFUSED(run(), "holds explanations; reuse them by --resume");
  plan_.resume = true;
  rounds_ = 0;
  EXPECT_EQ(run().explanations[2].patterns, result.explanations[2].patterns);
  EXPECT_EQ(rounds_, 0);  // nothing was left to ask
  plan_.latents = {0, 2};
  EXPECT_REFUSED(run(), "of other options, data or autoencoder");
  plan_.latents = {latents};
  EXPECT_REFUSED(run(), "latent 24 was asked for; the autoencoder has 24");
}

TEST_F(ExplainRun, AnInterruptedRunGoesOn) {
  const std::string whole = [&] {
    run();
    return folder_.read("out/explanations.jsonl");
  }();
  const std::string first_line = whole.substr(0, whole.find('\n') + 1);
  const std::string plan = Json::read(folder_.path("out/plan.json")).dump();
  plan_.folder = folder_.path("again");
  std::filesystem::create_directories(plan_.folder);
  folder_.write("again/progress.jsonl", plan + "\n" + first_line + "{\"latent\": 2, \"mo");
  EXPECT_REFUSED(run(), "holds an interrupted run");
  plan_.resume = true;
  EXPECT_FALSE(run().interrupted);
  EXPECT_EQ(folder_.read("again/explanations.jsonl"), whole);
}

TEST_F(ExplainRun, ExamplesAreApartFromThoseHeldOut) {
  const ExampleRows rows = choose_examples(7, 40, {16, 16, 3});
  EXPECT_EQ(rows.build.size(), 16u);
  EXPECT_EQ(rows.held_out.size(), 16u);
  std::set<int64_t> all(rows.build.begin(), rows.build.end());
  all.insert(rows.held_out.begin(), rows.held_out.end());
  EXPECT_EQ(all.size(), 32u);
  EXPECT_EQ(choose_examples(7, 40, {16, 16, 3}).build, rows.build);
  EXPECT_NE(choose_examples(8, 40, {16, 16, 3}).build, rows.build);
  EXPECT_EQ(choose_examples(7, 20, {16, 16, 3}).held_out.size(), 4u);
  EXPECT_THAT(choose_examples(7, 0, {16, 16, 3}).build, IsEmpty());
}

// --- scores ---------------------------------------------------------------------------------------------------------

TEST_F(Explain, PredictionsOfAStreamAreThoseOfItsContexts) {
  const ActivationStore store(folder_.path("store"));
  const RowSelection selection(store, {.skip_positions = 1});
  const TokenStream stream(store, selection, 1);
  for (const std::vector<int32_t>& tokens : {std::vector<int32_t>{3}, {5, 3}, {any_token}, {3, any_token}}) {
    PatternTrie trie(ExplanationMode::fixed);
    trie.insert({tokens, std::vector<float>(tokens.size(), 1.0f), false, 1.5, 1});
    trie.insert({{4}, {1}, true, 2.5, 1});
    const auto found = predict_stream(trie, stream);
    size_t next = 0;
    for (int32_t row = 0; row < stream.rows(); ++row) {
      const double expected = trie.predict(stream.context(row));
      if (expected == 0) continue;
      ASSERT_LT(next, found.size());
      EXPECT_EQ(found[next].row, row);
      EXPECT_EQ(found[next++].activation, expected);
    }
    EXPECT_EQ(next, found.size());
  }
}

TEST_F(Explain, LookupsPredictWhereTheirTokensStoodBefore) {
  const ActivationStore store(folder_.path("store"));
  const RowSelection selection(store, {.skip_positions = 1});
  const TokenStream stream(store, selection, 1);
  const LatentFirings firings(autoencoder(Activation::topk), store, selection, device_);
  for (const int64_t n : {1, 2}) {
    const NgramLookup lookup(stream, stream, n);
    const auto found = lookup.predict(firings, 4);
    std::map<std::vector<int32_t>, double> strongest;
    const auto last = [&](int64_t row) {
      const auto context = stream.context(row);
      return static_cast<int64_t>(context.size()) < n ? std::vector<int32_t>()
                                                      : std::vector<int32_t>(context.end() - n, context.end());
    };
    for (const RowActivation& firing : true_firings(firings, 4)) {
      auto& value = strongest[last(firing.row)];
      value = std::max(value, firing.activation);
    }
    strongest.erase(std::vector<int32_t>());
    size_t next = 0;
    for (int32_t row = 0; row < stream.rows(); ++row) {
      if (!strongest.contains(last(row))) continue;
      ASSERT_LT(next, found.size());
      EXPECT_EQ(found[next].row, row);
      EXPECT_EQ(found[next++].activation, strongest[last(row)]);
    }
    EXPECT_EQ(next, found.size());
    EXPECT_GT(next, 0u);
  }
}

TEST_F(Explain, ChannelsAreDistancesInStandardDeviations) {
  const ActivationStore store(folder_.path("store"));
  const RowSelection selection(store, {.skip_positions = 1});
  const Autoencoder channels = channel_autoencoder(store, selection, 2 * width, device_);
  const Tensor rows = normalise(store.gather(selection.rows(), device_), InputNormalisation::centred_unit_norm).rows;
  const Value encoded = encode(channels, rows);
  const SparseRows sparse = sparse_rows("test", encoded);
  const float* values = stored_values(encoded).data<float>();
  std::vector<double> squares(static_cast<size_t>(width), 0.0);
  for (int64_t row = 0; row < rows.rows(); ++row) {
    for (int64_t entry = sparse.begin(row); entry < sparse.end(row); ++entry) {
      squares[static_cast<size_t>(sparse.index[entry] % width)] += std::pow(static_cast<double>(values[entry]), 2);
    }
  }
  for (const double square : squares) EXPECT_NEAR(square / static_cast<double>(rows.rows()), 1, 1e-3);
}

}  // namespace
}  // namespace sae
