// Every architecture, from both formats, against what transformers computes (tests/golden/make_models.py).
#include <fmt/format.h>

#include <filesystem>

#include "engine/files/safetensors.h"
#include "models/language_model/language_model.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using testing::to_double;
using testing::worst_difference;

constexpr Site all_sites[] = {Site::resid_post, Site::resid_mid, Site::mlp_out, Site::attn_out, Site::mlp_hidden};

struct GoldenModel {
  std::string name;    // of the folder in tests/golden/models
  std::string detail;  // below it: nothing for the folder itself, or the GGUF file
  std::string path() const { return fmt::format("{}/models/{}{}", SAE_GOLDEN, name, detail); }
};

std::vector<GoldenModel> golden_models() {
  std::vector<GoldenModel> models;
  for (const char* name : {"gpt2", "llama", "llama3", "gpt_neox", "gpt_neox_sequential", "qwen2", "qwen3", "gemma3"}) {
    models.push_back({name, ""});
    models.push_back({name, "/model.gguf"});
  }
  return models;
}

/// Every row by itself: the worst difference of an element relative to the largest of its row.
double worst_row_difference(const Tensor& actual, const Tensor& expected) {
  if (actual.shape() != expected.shape()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (int64_t r = 0; r < expected.rows(); ++r) {
    worst = std::max(
        worst, worst_difference(to_double(actual.slice_rows(r, r + 1)), to_double(expected.slice_rows(r, r + 1))));
  }
  return worst;
}

class ArchitecturesTest : public testing::CpuTest, public ::testing::WithParamInterface<GoldenModel> {
 protected:
  LanguageModel load(Precision precision = Precision::f32) {
    return LanguageModel::load(GetParam().path(), device_, precision);
  }
  Tensor golden(const std::string& name) { return golden_.read(device_, name); }

  const SafetensorsFile golden_{fmt::format("{}/models/{}/expected.safetensors", SAE_GOLDEN, GetParam().name)};
  const std::vector<int32_t> ids_ = golden("tokens").to_vector<int32_t>();
  const int64_t length_ = golden("tokens").cols();
};

TEST_P(ArchitecturesTest, AgreesWithTransformersAtEverySiteOfEveryBlock) {
  const LanguageModel model = load();
  const int64_t layers = model.sizes().layers;
  std::vector<SitePlace> places;
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (const Site site : all_sites) places.push_back({layer, site});
  }
  std::vector<Tensor> found;
  const Tensor residual = model.run_blocks(model.embed(model.tokens(ids_)), length_, 0, layers, places, &found);
  for (size_t i = 0; i < places.size(); ++i) {
    const std::string name = fmt::format("{}.{}", name_of(places[i].site), places[i].layer);
    EXPECT_LT(worst_row_difference(found[i], golden(name)), 1e-5) << name;
    EXPECT_EQ(found[i].cols(), model.width_of(places[i].site)) << name;
  }
  EXPECT_LT(worst_row_difference(model.logits(residual), golden("logits")), 1e-5);

  // what is read on the way changes nothing: without it, products are added to the residual stream as they are made
  const Tensor plain = model.run_blocks(model.embed(model.tokens(ids_)), length_, 0, layers);
  EXPECT_LT(worst_row_difference(plain, residual), 1e-6);
}

TEST_P(ArchitecturesTest, ExtendingACacheAgreesWithTheWholeText) {
  const LanguageModel model = load();
  const std::span<const int32_t> text = std::span(ids_).first(static_cast<size_t>(length_));
  KeyValueCache cache = model.make_cache(length_);
  int64_t at = 0;
  for (const int64_t count : {5, 1, 1, 5}) {
    const Tensor next = model.extend(cache, text.subspan(static_cast<size_t>(at), static_cast<size_t>(count)));
    at += count;
    EXPECT_LT(worst_row_difference(next, golden("logits").slice_rows(at - 1, at)), 1e-5) << at;
  }
}

TEST_P(ArchitecturesTest, Bfloat16ProductsAreClose) {
  const LanguageModel model = load(Precision::bf16);
  const Tensor residual = model.run_blocks(model.embed(model.tokens(ids_)), length_, 0, model.sizes().layers);
  EXPECT_LT(worst_row_difference(model.logits(residual), golden("logits")), 0.1);
}

TEST_P(ArchitecturesTest, TheTokenizerComesWithTheModel) {
  LanguageModel model = load();
  EXPECT_EQ(model.tokenizer().decode(model.tokenizer().encode("the end, and then.")), "the end, and then.");
  EXPECT_EQ(model.tokenizer().end_of_text(), 0);
  EXPECT_EQ(model.name(), GetParam().detail.empty() ? GetParam().name : "model");
}

INSTANTIATE_TEST_SUITE_P(Models, ArchitecturesTest, ::testing::ValuesIn(golden_models()), [](const auto& test) {
  return test.param.name + (test.param.detail.empty() ? "_folder" : "_gguf");
});

}  // namespace
}  // namespace sae
