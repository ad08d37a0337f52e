// Every architecture, from both formats, against what transformers computes (tests/golden/make_models.py).
#include <fmt/format.h>

#include <filesystem>

#include "engine/files/safetensors.h"
#include "models/language_model/language_model.h"
#include "tests/support/devices.h"

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

/// A golden model on a device, and what transformers computed.
class Golden {
 public:
  Golden(const GoldenModel& model, Device& device)
      : path_(model.path()),
        device_(device),
        file_(fmt::format("{}/models/{}/expected.safetensors", SAE_GOLDEN, model.name)),
        ids_(tensor("tokens").to_vector<int32_t>()),
        length_(tensor("tokens").cols()) {}

  LanguageModel load(Precision precision = Precision::f32) { return LanguageModel::load(path_, device_, precision); }

  void check_every_site_of_every_block() {
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
      EXPECT_LT(worst_row_difference(found[i], tensor(name)), 1e-5) << name;
      EXPECT_EQ(found[i].cols(), model.width_of(places[i].site)) << name;
    }
    EXPECT_LT(worst_row_difference(model.logits(residual), tensor("logits")), 1e-5);

    // what is read on the way changes nothing: without it, products are added to the residual stream as they are made
    const Tensor plain = model.run_blocks(model.embed(model.tokens(ids_)), length_, 0, layers);
    EXPECT_LT(worst_row_difference(plain, residual), 1e-6);
  }

  void check_extending_a_cache() {
    const LanguageModel model = load();
    const std::span<const int32_t> text = std::span(ids_).first(static_cast<size_t>(length_));
    KeyValueCache cache = model.make_cache(length_);
    int64_t at = 0;
    for (const int64_t count : {5, 1, 1, 5}) {
      const Tensor next = model.extend(cache, text.subspan(static_cast<size_t>(at), static_cast<size_t>(count)));
      at += count;
      EXPECT_LT(worst_row_difference(next, tensor("logits").slice_rows(at - 1, at)), 1e-5) << at;
    }
  }

  /// Every row of texts that share beginnings is what it is in its text alone.
  void check_shared_beginnings(Precision precision, double tolerance) {
    const LanguageModel model = load(precision);
    const std::vector<int32_t> whole(ids_.begin(), ids_.begin() + length_);
    std::vector<std::vector<int32_t>> texts(4, whole);
    texts[1][7] = texts[2][3] = texts[3][0] = ids_.back();
    texts.push_back({texts[3].begin(), texts[3].begin() + 5});
    const std::vector<std::span<const int32_t>> views(texts.begin(), texts.end());
    const SharedTexts shared(views);
    EXPECT_LT(shared.tokens.size(), static_cast<size_t>(4 * length_));
    const SitePlace places[] = {{0, Site::mlp_hidden}, {model.sizes().layers - 1, Site::resid_post}};
    const std::vector<Tensor> together = model.activations(shared, places);
    for (size_t text = 0; text < texts.size(); ++text) {
      const auto count = static_cast<int64_t>(texts[text].size());
      const std::vector<Tensor> alone = model.activations(model.tokens(texts[text]), count, places);
      for (size_t site = 0; site < 2; ++site) {
        for (int64_t i = 0; i < count; ++i) {
          const int64_t row = shared.row_at[text * static_cast<size_t>(length_) + static_cast<size_t>(i)];
          EXPECT_LE(worst_row_difference(together[site].slice_rows(row, row + 1), alone[site].slice_rows(i, i + 1)),
                    tolerance)
              << text << ' ' << site << ' ' << i;
        }
      }
    }
  }

  void check_bfloat16_products() {
    const LanguageModel model = load(Precision::bf16);
    const Tensor residual = model.run_blocks(model.embed(model.tokens(ids_)), length_, 0, model.sizes().layers);
    EXPECT_LT(worst_row_difference(model.logits(residual), tensor("logits")), 0.1);
  }

 private:
  Tensor tensor(const std::string& name) const { return file_.read(device_, name); }

  std::string path_;
  Device& device_;
  SafetensorsFile file_;
  std::vector<int32_t> ids_;
  int64_t length_;
};

class ArchitecturesTest : public testing::CpuTest, public ::testing::WithParamInterface<GoldenModel> {
 protected:
  Golden golden_{GetParam(), device_};
};

TEST_P(ArchitecturesTest, AgreesWithTransformersAtEverySiteOfEveryBlock) { golden_.check_every_site_of_every_block(); }

TEST_P(ArchitecturesTest, ExtendingACacheAgreesWithTheWholeText) { golden_.check_extending_a_cache(); }

TEST_P(ArchitecturesTest, SharedBeginningsChangeNoBit) {
  golden_.check_shared_beginnings(Precision::f32, 0);
  golden_.check_shared_beginnings(Precision::bf16, 0);
}

TEST_P(ArchitecturesTest, Bfloat16ProductsAreClose) { golden_.check_bfloat16_products(); }

TEST_P(ArchitecturesTest, TheTokenizerComesWithTheModel) {
  LanguageModel model = golden_.load();
  EXPECT_EQ(model.tokenizer().decode(model.tokenizer().encode("the end, and then.")), "the end, and then.");
  EXPECT_EQ(model.tokenizer().end_of_text(), 0);
  EXPECT_EQ(model.name(), GetParam().detail.empty() ? GetParam().name : "model");
}

INSTANTIATE_TEST_SUITE_P(Models, ArchitecturesTest, ::testing::ValuesIn(golden_models()), [](const auto& test) {
  return test.param.name + (test.param.detail.empty() ? "_folder" : "_gguf");
});

// The same on the devices of the kernels; from one format, since the weights are then the same.
class ArchitecturesOnDevices : public testing::DeviceTest {};
INSTANTIATE_TEST_SUITE_P(Devices, ArchitecturesOnDevices, ::testing::Values(DeviceKind::simt, DeviceKind::cuda),
                         testing::device_name);

TEST_P(ArchitecturesOnDevices, AgreeWithTransformers) {
  for (const GoldenModel& model : golden_models()) {
    if (!model.detail.empty()) continue;
    SCOPED_TRACE(model.name);
    Golden golden(model, device_);
    golden.check_every_site_of_every_block();
    golden.check_extending_a_cache();
    golden.check_bfloat16_products();
    golden.check_shared_beginnings(Precision::f32, device_.kind() == DeviceKind::simt ? 0 : 1e-6);
  }
}

}  // namespace
}  // namespace sae
