#include "models/language_model/language_model.h"

#include <numeric>

#include "engine/files/json.h"
#include "engine/files/safetensors.h"
#include "engine/parallel.h"
#include "tests/models/subject_model.h"
#include "tests/models/tiny_model.h"
#include "tests/support/damage.h"
#include "tests/support/devices.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::GgufWriter;
using testing::ReferenceLlama;
using testing::Rows;
using testing::to_double;
using testing::worst_difference;

std::vector<double> flat(const Rows& rows) {
  std::vector<double> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  return values;
}

template <class Base>
class WithTinyModel : public Base {
 protected:
  LanguageModel load(const GgufWriter& file, Precision precision = Precision::f32) {
    return LanguageModel::load(folder_.write("tiny.gguf", file.bytes()), this->device_, precision);
  }

  const testing::TinyModel tiny_;
  const ReferenceLlama& reference_ = tiny_.reference();
  const GgufWriter& file_ = tiny_.file();
  TemporaryFolder folder_;
  const std::vector<int32_t> ids_ = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 16, 0, 11, 12};
};

class LanguageModelTest : public WithTinyModel<testing::DeviceTest> {};
INSTANTIATE_TEST_SUITE_P(Devices, LanguageModelTest, testing::every_device, testing::device_name);
class LanguageModelOnCpu : public WithTinyModel<testing::CpuTest> {};

TEST_P(LanguageModelTest, AgreesWithTheReferenceAtEverySite) {
  const LanguageModel model = load(file_);
  const auto expected = reference_.forward(ids_);
  const auto length = static_cast<int64_t>(ids_.size());
  std::vector<SitePlace> places;
  for (int64_t layer = 0; layer < 2; ++layer) {
    for (const Site site : {Site::resid_post, Site::resid_mid, Site::mlp_out, Site::attn_out})
      places.push_back({layer, site});
  }
  std::vector<Tensor> found;
  const Tensor ids = model.tokens(ids_);
  const Tensor residual = model.run_blocks(model.embed(ids), length, 0, 2, places, &found);
  for (size_t layer = 0; layer < 2; ++layer) {
    EXPECT_LT(worst_difference(to_double(found[4 * layer]), flat(expected.resid_post[layer])), 2e-6);
    EXPECT_LT(worst_difference(to_double(found[4 * layer + 1]), flat(expected.resid_mid[layer])), 2e-6);
    EXPECT_LT(worst_difference(to_double(found[4 * layer + 2]), flat(expected.mlp_out[layer])), 3e-6);
    EXPECT_LT(worst_difference(to_double(found[4 * layer + 3]), flat(expected.attn_out[layer])), 3e-6);
  }
  EXPECT_LT(worst_difference(to_double(model.final_norm(residual)), flat(expected.final_norm)), 3e-6);
  EXPECT_LT(worst_difference(to_double(model.logits(residual)), flat(expected.logits)), 3e-6);

  // losses from the reference's logits
  const auto losses = model.next_token_loss(residual, ids_, length).to_vector<float>();
  for (size_t t = 0; t + 1 < ids_.size(); ++t) {
    double sum = 0;
    for (const double logit : expected.logits[t]) sum += std::exp(logit);
    EXPECT_NEAR(losses[t], std::log(sum) - expected.logits[t][static_cast<size_t>(ids_[t + 1])], 1e-5);
  }
  EXPECT_EQ(losses.back(), 0);
}

TEST_P(LanguageModelTest, Bfloat16ProductsAreClose) {
  const LanguageModel model = load(file_, Precision::bf16);
  const auto length = static_cast<int64_t>(ids_.size());
  const Tensor residual = model.run_blocks(model.embed(model.tokens(ids_)), length, 0, 2);
  const double error = worst_difference(to_double(residual), flat(reference_.forward(ids_).resid_post[1]));
  EXPECT_LT(error, 0.02);
  EXPECT_GT(error, 1e-5);  // or the option does nothing
}

TEST_P(LanguageModelTest, ABlockStopsAfterTheLastPlaceAndGoesOnFromThere) {
  const LanguageModel model = load(file_);
  const auto length = static_cast<int64_t>(ids_.size());
  const Tensor ids = model.tokens(ids_);
  const SitePlace place = {0, Site::resid_post};
  const Tensor after_first = model.activations(ids, length, {&place, 1})[0];
  const Tensor kept = Tensor::from(device_, after_first.shape(), after_first.to_vector<float>());
  const Tensor all = model.run_blocks(model.embed(ids), length, 0, 2);
  EXPECT_EQ(model.run_blocks(after_first, length, 1, 2).to_vector<float>(), all.to_vector<float>());
  EXPECT_EQ(after_first.to_vector<float>(), kept.to_vector<float>());  // what was captured is not written over
}

TEST_P(LanguageModelTest, ContextsDoNotSeeEachOther) {
  const LanguageModel model = load(file_);
  const Tensor both = model.run_blocks(model.embed(model.tokens(std::span(ids_).first(20))), 10, 0, 2);
  for (int64_t context = 0; context < 2; ++context) {
    const auto part = std::span(ids_).subspan(static_cast<size_t>(10 * context), 10);
    const Tensor alone = model.run_blocks(model.embed(model.tokens(part)), 10, 0, 2);
    const Tensor rows = both.slice_rows(10 * context, 10 * context + 10);
    if (GetParam() == DeviceKind::cuda) {  // cuBLASLt sums in another order for another number of rows
      EXPECT_LT(worst_difference(to_double(rows), to_double(alone)), 1e-6);
    } else {
      EXPECT_EQ(rows.to_vector<float>(), alone.to_vector<float>());
    }
  }
}

TEST_P(LanguageModelTest, ExtendingACacheAgreesWithTheWholeText) {
  const LanguageModel model = load(file_);
  const auto length = static_cast<int64_t>(ids_.size());
  const Tensor logits = model.logits(model.run_blocks(model.embed(model.tokens(ids_)), length, 0, 2));
  KeyValueCache cache = model.make_cache(length);
  size_t at = 0;
  for (const size_t count : {7u, 1u, 1u, 12u}) {
    const Tensor next = model.extend(cache, std::span(ids_).subspan(at, count));
    at += count;
    const auto row = static_cast<int64_t>(at) - 1;
    EXPECT_LT(worst_difference(to_double(next), to_double(logits.slice_rows(row, row + 1))), 1e-6);
  }
  EXPECT_REFUSED(model.extend(cache, std::span(ids_).first(1)), "1 tokens after 21 in a cache of 21");
}

/// Twice the activations, from position `first` on.
Tensor doubled(const Tensor& x, int64_t first_position, int64_t length, int64_t first) {
  std::vector<float> values = x.to_vector<float>();
  for (int64_t i = 0; i < x.elements(); ++i) {
    if (first_position + i / x.cols() % length >= first) values[static_cast<size_t>(i)] *= 2;
  }
  return Tensor::from(x.device(), x.shape(), values);
}

TEST_P(LanguageModelTest, AnInterventionReplacesWhatTheRestOfTheModelSees) {
  const LanguageModel model = load(file_);
  const auto ids = std::span(ids_).first(20);
  const Tensor embedded = model.embed(model.tokens(ids));
  const auto run = [&](const Intervention* intervention, std::span<const SitePlace> places,
                       std::vector<Tensor>* found) {
    return model.run_blocks(Tensor(embedded), 10, 0, 2, places, found, intervention);
  };
  const auto plain = run(nullptr, {}, nullptr).to_vector<float>();
  for (const Site site : {Site::resid_post, Site::resid_mid, Site::mlp_out, Site::attn_out}) {
    Intervention same = {{0, site}, [](Tensor x, int64_t, int64_t) { return x; }};
    EXPECT_LT(worst_difference(to_double(run(&same, {}, nullptr)), {plain.begin(), plain.end()}), 1e-6);

    // the change shows where it was made and after it, never at positions before
    const SitePlace places[] = {{0, site}, {0, Site::resid_post}};
    std::vector<Tensor> before, after;
    run(nullptr, places, &before);
    const Intervention twice = {{0, site}, [](Tensor x, int64_t first_position, int64_t length) {
                                  EXPECT_EQ(first_position, 0);
                                  return doubled(x, first_position, length, 4);
                                }};
    const Tensor changed = run(&twice, places, &after);
    EXPECT_EQ(after[0].to_vector<float>(), before[0].to_vector<float>());  // found as it was before
    for (int64_t row = 0; row < 20; ++row) {
      const bool same_row = changed.slice_rows(row, row + 1).to_vector<float>() ==
                            std::vector<float>(plain.begin() + row * 64, plain.begin() + (row + 1) * 64);
      EXPECT_EQ(same_row, row % 10 < 4) << name_of(site) << " row " << row;
    }
    if (site == Site::resid_post) {  // as if the rest of the model had been given the doubled rows
      const Tensor given = doubled(before[0], 0, 10, 4);
      EXPECT_EQ(model.run_blocks(given, 10, 1, 2).to_vector<float>(), changed.to_vector<float>());
    }
  }
}

TEST_P(LanguageModelTest, AnInterventionWorksOnACacheAsOnWholeContexts) {
  const LanguageModel model = load(file_);
  const Intervention twice = {{0, Site::resid_post}, [](Tensor x, int64_t first_position, int64_t length) {
                                return doubled(x, first_position, length, 3);
                              }};
  const Tensor whole = model.run_blocks(model.embed(model.tokens(ids_)), 21, 0, 2, {}, nullptr, &twice);
  KeyValueCache cache = model.make_cache(21);
  model.extend(cache, std::span(ids_).first(8), &twice);
  const Tensor last = model.extend(cache, std::span(ids_).subspan(8), &twice);
  EXPECT_LT(worst_difference(to_double(last), to_double(model.logits(whole.slice_rows(20, 21)))), 2e-6);
  const Intervention beyond = {{2, Site::resid_post}, twice.replace};
  KeyValueCache other = model.make_cache(21);
  EXPECT_REFUSED(model.extend(other, ids_, &beyond), "activations of layer 2 cannot be replaced in blocks 0 to 1");
  EXPECT_REFUSED(model.run_blocks(model.embed(model.tokens(ids_)), 21, 1, 2, {}, nullptr, &twice),
                 "activations of layer 0 cannot be replaced in blocks 1 to 1");
}

TEST_F(LanguageModelOnCpu, TheOutputLayerIsPackedWhenItIsFirstAskedFor) {
  const LanguageModel model = load(file_);
  const Tensor residual = model.run_blocks(model.embed(model.tokens(ids_)), 21, 0, 2);
  const auto live = [&] { return device_.memory().live; };
  const int64_t before = live(), bytes = model.sizes().vocabulary * model.sizes().width * 4;
  std::vector<std::vector<float>> logits(4);
  parallel_for(4, 1, [&](int64_t i, int64_t) {  // by whichever thread is first
    logits[static_cast<size_t>(i)] = model.logits(residual).to_vector<float>();
  });
  EXPECT_GE(live() - before, bytes);
  EXPECT_LE(live() - before, bytes + 64 * model.sizes().width * 4);  // outputs are rounded up to whole panels
  for (const auto& one : logits) EXPECT_EQ(one, logits[0]);
  const int64_t packed = live();
  model.logits(residual);
  EXPECT_EQ(live(), packed);
}

TEST_F(LanguageModelOnCpu, DefaultLayer) {
  EXPECT_EQ(load(file_).default_layer(), 1);  // ceil(3 * 2 / 4) - 1
}

TEST_F(LanguageModelOnCpu, RefusesWhatItCannotDo) {
  const auto changed = [&](const char* key, uint32_t value) {
    GgufWriter file = file_;
    file.remove(key).integer(key, value);
    return file;
  };
  EXPECT_REFUSED(load(GgufWriter(file_).remove("general.architecture").text("general.architecture", "mamba")),
                 "architecture 'mamba' is not supported; supported: gpt2, llama, ");
  EXPECT_REFUSED(load(GgufWriter(file_).remove("llama.block_count")), "tiny.gguf: 'llama.block_count' is missing");
  EXPECT_REFUSED(load(changed("llama.block_count", 3)), "the tensor 'blk.2.attn_norm.weight' is missing");
  EXPECT_REFUSED(load(changed("llama.block_count", 1)), "is none that a llama of 1 layers has");
  EXPECT_REFUSED(load(changed("llama.block_count", 0)), "'llama.block_count' is 0");
  EXPECT_REFUSED(load(changed("llama.embedding_length", ~0u)), "'llama.embedding_length' is 4294967295");
  EXPECT_REFUSED(load(changed("llama.embedding_length", 128)), "where the metadata ask for");
  EXPECT_REFUSED(load(changed("llama.attention.head_count", 6)), "does not divide into 6 heads");
  EXPECT_REFUSED(load(changed("llama.attention.head_count", 8)), "heads of 8 elements; multiples of 16");
  EXPECT_REFUSED(load(changed("llama.rope.dimension_count", 8)), "'llama.rope.dimension_count' is 8");
  EXPECT_REFUSED(load(GgufWriter(file_).text("llama.rope.scaling.type", "yarn")),
                 "'llama.rope.scaling.type' is 'yarn'; supported: linear, llama3");
  EXPECT_REFUSED(load(GgufWriter(file_).integer("llama.expert_count", 8)), "a mixture of experts is not supported");
  EXPECT_REFUSED(load(GgufWriter(file_).remove_tensor("blk.1.ffn_up.weight")),
                 "the tensor 'blk.1.ffn_up.weight' is missing");
  EXPECT_REFUSED(load(GgufWriter(file_).tensor("blk.0.attn_q_norm.weight", {16}, 0, std::string(64, '\0'))),
                 "tensor 'blk.0.attn_q_norm.weight' (at byte ");
  EXPECT_REFUSED(load(GgufWriter(file_).tensor("blk.0.attn_q.bias", {64}, 0, std::string(256, '\0'))),
                 "the tensor 'blk.0.attn_k.bias' is missing");
  GgufWriter quantised = file_;
  quantised.remove_tensor("blk.0.attn_q.weight").tensor("blk.0.attn_q.weight", {64, 64}, 10, std::string(4096, '\0'));
  EXPECT_REFUSED(load(quantised), "is stored as Q2_K, which is not supported; supported: F32");
  GgufWriter words = file_;
  words.remove("tokenizer.ggml.tokens").texts("tokenizer.ggml.tokens", {"a", "b", "ab"});
  EXPECT_REFUSED(load(words), "the tokenizer has 3 tokens, but the embedding 17 rows");
  EXPECT_REFUSED(load(GgufWriter(file_).remove("tokenizer.ggml.merges")), "the metadata lack 'tokenizer.ggml.merges'");

  const LanguageModel model = load(file_);
  EXPECT_REFUSED(model.tokens(std::vector<int32_t>{1, 17}), "token 17 at place 1; the vocabulary has 17");
  EXPECT_REFUSED(model.tokens(std::vector<int32_t>{-1}), "token -1");
  const Tensor residual = model.embed(model.tokens(ids_));
  EXPECT_REFUSED(model.run_blocks(residual, 20, 0, 2), "21 rows in contexts of 20 positions");
  EXPECT_REFUSED(model.run_blocks(residual, 21, 0, 3), "blocks 0 to 3 of 2");
  const SitePlace beyond = {2, Site::resid_post};
  EXPECT_REFUSED(model.activations(model.tokens(ids_), 21, {&beyond, 1}), "blocks 0 to 3 of 2");
  EXPECT_REFUSED(model.make_cache(41), "a text of 41 tokens; the model sees up to 40");
  EXPECT_REFUSED(parse_site("resid"), "expected resid_post, resid_mid, mlp_out, attn_out or mlp_hidden");
  EXPECT_EQ(parse_site("mlp_out"), Site::mlp_out);
}

TEST_F(LanguageModelOnCpu, SurvivesDamagedFiles) {
  const std::string whole = file_.bytes();
  const ReadAll read = [&](const std::string& bytes) {
    LanguageModel::load(folder_.write("tiny.gguf", bytes), device_, Precision::f32);
    return std::string();
  };
  for (size_t length = 0; length < whole.size(); length += 97) EXPECT_TRUE(is_refused(read, whole.substr(0, length)));
  expect_survives_edits(read, whole, 3, 300);
}

// --- the subject model ---------------------------------------------------------------------------------------------

/// Distances to the golden float32 forward: the worst difference of any element relative to the largest element of its
/// row, and the mean losses.
struct Distances {
  double hidden = 0, final_norm = 0, top10 = 0, loss = 0;
  int64_t same_top1 = 0;
};

/// Each row by itself: position 0's entries are a thousand times those of the others.
double worst_row_difference(const Tensor& actual, const Tensor& expected) {
  double worst = 0;
  for (int64_t r = 0; r < expected.rows(); ++r) {
    worst = std::max(
        worst, worst_difference(to_double(actual.slice_rows(r, r + 1)), to_double(expected.slice_rows(r, r + 1))));
  }
  return worst;
}

Distances distances_to_golden(const std::string& path, Device& device, Precision precision) {
  const LanguageModel model = LanguageModel::load(path, device, precision);
  const SafetensorsFile golden(SAE_GOLDEN "/smollm2_forward.safetensors");
  const Json texts = Json::read(SAE_GOLDEN "/smollm2_forward.json");
  Distances worst;
  for (int64_t text = 0; text < 2; ++text) {
    const auto named = [&](const std::string& name) { return golden.read(device, fmt::format("{}.{}", text, name)); };
    const std::vector<int32_t> ids = named("token").to_vector<int32_t>();
    std::vector<SitePlace> places;
    for (const int64_t layer : {0, 10, 22, 28}) places.push_back({layer, Site::resid_post});
    std::vector<Tensor> found;
    const Tensor residual =
        model.run_blocks(model.embed(model.tokens(ids)), 64, 0, model.sizes().layers, places, &found);
    for (size_t i = 0; i < places.size(); ++i) {
      const Tensor expected = named(fmt::format("resid_post.{}", places[i].layer));
      worst.hidden = std::max(worst.hidden, worst_row_difference(found[i], expected));
    }
    worst.final_norm =
        std::max(worst.final_norm, worst_row_difference(model.final_norm(residual), named("final_norm")));

    const Tensor logits = model.logits(residual);
    const auto top = named("top10_token").to_vector<int32_t>();
    const auto log_probability = named("top10_log_probability").to_vector<float>();
    for (int64_t t = 0; t < 64; ++t) {
      const float* row = logits.data<float>() + t * logits.cols();
      double sum = 0;
      for (int64_t j = 0; j < logits.cols(); ++j) sum += std::exp(static_cast<double>(row[j]));
      for (int64_t i = 0; i < 10; ++i) {
        const auto at = static_cast<size_t>(10 * t + i);
        const double ours = static_cast<double>(row[top[at]]) - std::log(sum);
        worst.top10 = std::max(worst.top10, std::abs(ours - static_cast<double>(log_probability[at])));
      }
      worst.same_top1 += std::max_element(row, row + logits.cols()) - row == top[static_cast<size_t>(10 * t)] ? 1 : 0;
    }
    const auto losses = model.next_token_loss(residual, ids, 64).to_vector<float>();
    const double mean = std::accumulate(losses.begin(), losses.end(), 0.0) / 63;
    worst.loss = std::max(worst.loss, std::abs(mean - texts.at(text).at("mean_next_token_loss").number()));
  }
  return worst;
}

class SubjectModel : public testing::CpuTest {};

TEST_F(SubjectModel, GoldenForwardInFloat32) {
  REQUIRE_SUBJECT_MODEL(path);
  const Distances worst = distances_to_golden(path, device_, Precision::f32);
  EXPECT_LT(worst.hidden, 1e-4);
  EXPECT_LT(worst.final_norm, 1e-4);
  EXPECT_LT(worst.top10, 1e-3);
  EXPECT_LT(worst.loss, 1e-4);
  EXPECT_EQ(worst.same_top1, 128);
}

TEST_F(SubjectModel, GoldenForwardInBfloat16) {
  REQUIRE_SUBJECT_MODEL(path);
  const Distances worst = distances_to_golden(path, device_, Precision::bf16);
  EXPECT_LT(worst.hidden, 0.1);
  EXPECT_LT(worst.loss, 0.05);
  EXPECT_GE(worst.same_top1, 120);
}

TEST_F(SubjectModel, TheCapitalOfFrance) {
  REQUIRE_SUBJECT_MODEL(path);
  const MemoryReport before = device_.memory();
  LanguageModel model = LanguageModel::load(path, device_, Precision::bf16);
  EXPECT_EQ(device_.memory().cached, 0);
  // the weights of the blocks, each rounded up to the allocator's classes; with the output layer it would be a quarter
  // more
  const int64_t element =
      PackedMatrix::pack(Tensor::zeros(device_, {64, 64}, Dtype::f32), Precision::bf16).bytes() / (64 * 64);
  const int64_t weights = model.sizes().layers * model.sizes().block_parameters * element;
  EXPECT_LT(device_.memory().live - before.live, weights + weights / 8);
  EXPECT_EQ(model.name(), "SmolLM2-135M-Instruct.Q4_1");
  EXPECT_EQ(model.default_layer(), 22);
  const std::vector<int32_t> ids = model.tokenizer().encode("The capital of France is");
  KeyValueCache cache = model.make_cache(16);
  const auto logits = model.extend(cache, ids).to_vector<float>();
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  EXPECT_EQ(model.tokenizer().piece(static_cast<int32_t>(best)), " Paris");
}

}  // namespace
}  // namespace sae
