// Hugging Face folders that are damaged, incomplete or ask for what is not supported. What they mean when they are
// whole stands in architectures_test.cpp.
#include <filesystem>

#include "engine/files/json.h"
#include "engine/files/safetensors.h"
#include "models/language_model/language_model.h"
#include "tests/support/damage.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

namespace fs = std::filesystem;

/// A copy of a golden folder to be damaged.
class HuggingFaceTest : public testing::CpuTest {
 protected:
  void copy(const std::string& name) {
    fs::remove_all(path());
    fs::copy(std::string(SAE_GOLDEN) + "/models/" + name, path());
  }
  std::string path(const std::string& file = "") const {
    return folder_.path("model" + (file.empty() ? "" : "/" + file));
  }
  void write(const std::string& file, const std::string& bytes) { folder_.write("model/" + file, bytes); }
  std::string read(const std::string& file) const { return folder_.read("model/" + file); }
  LanguageModel load() { return LanguageModel::load(path(), device_, Precision::f32); }

  /// config.json with one member changed, and back.
  void expect_refused_with(const std::string& key, const Json& value, const std::string& message) {
    const std::string whole = read("config.json");
    Json config = Json::parse(whole, "config.json");
    config.set(key, value).write(path("config.json"), IfExists::replace);
    EXPECT_REFUSED(load(), message);
    write("config.json", whole);
  }
  /// The weights with one tensor left out, and another, if it has a name, put in; and back.
  void expect_refused_without(const std::string& left_out, const NamedTensor& put_in, const std::string& message) {
    const std::string whole = read("model.safetensors");
    std::vector<NamedTensor> tensors;
    {
      const SafetensorsFile file(path("model.safetensors"));
      for (const std::string& name : file.names()) {
        if (name != left_out) tensors.push_back({name, file.read(device_, name)});
      }
    }
    if (!put_in.name.empty()) tensors.push_back(put_in);
    write_safetensors(path("model.safetensors"), tensors, {}, IfExists::replace);
    EXPECT_REFUSED(load(), message);
    write("model.safetensors", whole);
  }

  TemporaryFolder folder_;
};

TEST_F(HuggingFaceTest, SomeFilesLeaveOutTheOutermostName) {
  copy("gpt2");
  const std::vector<int32_t> ids = {1, 5, 7, 2};
  const auto logits = [&] {
    const LanguageModel model = load();
    return model.logits(model.run_blocks(model.embed(model.tokens(ids)), 4, 0, 2)).to_vector<float>();
  };
  const auto expected = logits();
  std::vector<NamedTensor> tensors;
  {
    const SafetensorsFile file(path("model.safetensors"));
    for (const std::string& name : file.names()) {
      ASSERT_TRUE(name.starts_with("transformer."));
      tensors.push_back({name.substr(12), file.read(device_, name)});
    }
  }
  // as the files of GPT-2 itself are, which also hold the mask of its attention
  tensors.push_back({"h.0.attn.bias", Tensor::zeros(device_, {1, 1, 64, 64}, Dtype::f32)});
  write_safetensors(path("model.safetensors"), tensors, {}, IfExists::replace);
  EXPECT_EQ(logits(), expected);
}

TEST_F(HuggingFaceTest, SettingsOutOfRangeAreRefusedByName) {
  copy("gpt2");
  expect_refused_with("n_layer", Json(3), "the tensor 'transformer.h.2.ln_1.weight' is missing");
  expect_refused_with("n_layer", Json(1), "tensor 'transformer.h.1.");
  expect_refused_with("n_layer", Json(int64_t{1} << 24), "the tensor 'transformer.h.2.ln_1.weight' is missing");
  expect_refused_with("n_layer", Json(int64_t{1} << 62),
                      "config.json: 'n_layer' is 4611686018427387904; expected 1 to");
  expect_refused_with("n_layer", Json(0), "config.json: 'n_layer' is 0");
  expect_refused_with("n_layer", Json(2.5), "config.json: 'n_layer' is not a whole number");
  expect_refused_with("n_layer", Json(), "config.json: 'n_layer' is missing");
  expect_refused_with("n_embd", Json(1 << 24), "is [48, 32], where config.json asks for [48, 16777216]");
  expect_refused_with("n_embd", Json("wide"), "config.json: 'n_embd' is not a whole number");
  expect_refused_with("n_head", Json(3), "config.json: 'n_embd' is 32, which does not divide into 3 heads");
  expect_refused_with("n_head", Json(4), "heads of 8 elements; multiples of 16");
  expect_refused_with("n_positions", Json(65), "is [64, 32], where config.json asks for [65, 32]");
  expect_refused_with("vocab_size", Json(50257), "config.json: 'vocab_size' is 50257, but tensor");
  expect_refused_with("layer_norm_epsilon", Json(-1.0), "config.json: 'layer_norm_epsilon' is -1");
  expect_refused_with("activation_function", Json("relu"), "config.json: 'activation_function' is 'relu'");
  expect_refused_with("scale_attn_by_inverse_layer_idx", Json(true), "is true, which is not supported");
  expect_refused_with("scale_attn_weights", Json(false), "is false, which is not supported");
  expect_refused_with("tie_word_embeddings", Json(false), "the tensor 'transformer.lm_head.weight' is missing");
  expect_refused_with("model_type", Json("mamba"),
                      "config.json: architecture 'mamba' is not supported; supported: gpt2");

  copy("llama3");
  expect_refused_with("rope_scaling", Json::object().set("rope_type", "yarn"), "'rope_scaling.rope_type' is 'yarn'");
  expect_refused_with("rope_scaling", Json::object().set("rope_type", "linear"), "'rope_scaling.factor' is missing");
  expect_refused_with("rope_theta", Json(0.0), "config.json: 'rope_theta' is 0, which is out of range");
  expect_refused_with("num_key_value_heads", Json(3), "'num_attention_heads' is 2, which does not divide into 3 heads");
  expect_refused_with("mlp_bias", Json(false), "is none that a llama of 2 layers has");

  copy("gemma3");
  expect_refused_with("layer_types", Json(std::vector<std::string>{"full_attention"}), "has 1 entries for 6 layers");
  expect_refused_with("final_logit_softcapping", Json(30.0), "'final_logit_softcapping' is set");
  expect_refused_with("sliding_window", Json(), "config.json: 'sliding_window' is missing");
  copy("qwen2");
  expect_refused_with("use_sliding_window", Json(true), "config.json: 'use_sliding_window' is true");
  copy("gpt_neox");
  expect_refused_with("rotary_pct", Json(1.5), "config.json: 'rotary_pct' is 1.5");
  expect_refused_with("rotary_pct", Json(0.1), "1 rotated elements of a head; expected an even number");
}

TEST_F(HuggingFaceTest, TensorsAreRefusedByName) {
  copy("gpt2");
  const std::string bias = "transformer.h.1.mlp.c_fc.bias";
  expect_refused_without(bias, {}, "the tensor '" + bias + "' is missing");
  expect_refused_without(bias, {bias, Tensor::zeros(device_, {127}, Dtype::f32)},
                         "is [127], where config.json asks for [128]");
  expect_refused_without(bias, {bias, Tensor::zeros(device_, {128}, Dtype::i32)},
                         "model.safetensors: tensor '" + bias + "' (at byte ");
  expect_refused_without(bias, {bias, Tensor::zeros(device_, {128}, Dtype::i32)}, "is stored as I32");
  expect_refused_without("", {"transformer.h.0.attn.q_norm", Tensor::zeros(device_, {16}, Dtype::f32)},
                         "is none that a gpt2 of 2 layers has");
}

TEST_F(HuggingFaceTest, MissingFilesAreNamed) {
  copy("gpt2");
  fs::remove(path("model.safetensors"));
  EXPECT_REFUSED(load(), "neither model.safetensors nor model.safetensors.index.json is in this folder");
  fs::remove(path("config.json"));
  EXPECT_REFUSED(load(), "no config.json in this folder");

  copy("llama");
  const std::string index = read("model.safetensors.index.json");
  const std::string shard = "model-00002-of-00002.safetensors", moved = read(shard);
  fs::remove(path(shard));
  EXPECT_REFUSED(load(), shard);
  write(shard, read("model-00001-of-00002.safetensors"));
  EXPECT_REFUSED(load(), "is in");  // twice the same tensors
  write(shard, moved);
  Json changed = Json::parse(index, "index");
  Json map = changed.at("weight_map");
  changed.set("weight_map", map.set("model.norm.weight", "../elsewhere.safetensors"));
  changed.write(path("model.safetensors.index.json"), IfExists::replace);
  EXPECT_REFUSED(load(), "is said to lie in '../elsewhere.safetensors', which is no name of a shard");
  changed.set("weight_map", map.set("model.norm.weight", shard).set("model.extra", shard));
  changed.write(path("model.safetensors.index.json"), IfExists::replace);
  EXPECT_REFUSED(load(), "has no tensor 'model.extra', though model.safetensors.index.json says so");
}

TEST_F(HuggingFaceTest, AVocabularyOfAnotherSizeIsRefused) {
  copy("gpt2");
  const std::string whole = read("tokenizer.json");
  Json tokenizer = Json::parse(whole, "tokenizer.json");
  Json model = tokenizer.at("model"), vocabulary = model.at("vocab");
  for (int i = 40; i < 49; ++i) vocabulary.set("the" + std::to_string(i), i);
  tokenizer.set("model", model.set("vocab", vocabulary)).write(path("tokenizer.json"), IfExists::replace);
  EXPECT_REFUSED(load(), "the tokenizer has 49 tokens, but the embedding 48 rows");
}

/// Cut at every kilobyte and a few other places, and with random edits: refused, or read as something else, but nothing
/// worse.
TEST_F(HuggingFaceTest, DamagedFilesAreRefused) {
  copy("llama");
  for (const char* file : {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "config.json",
                           "model.safetensors.index.json"}) {
    const std::string whole = read(file);
    const ReadAll try_bytes = [&](const std::string& bytes) {
      write(file, bytes);
      load();
      return std::string();
    };
    const size_t step = whole.size() > 4096 ? 1024 : 61;
    for (size_t length = 0; length < whole.size(); length += step) {
      EXPECT_TRUE(is_refused(try_bytes, whole.substr(0, length))) << file << " cut to " << length;
    }
    expect_survives_edits(try_bytes, whole, 7, 100);
    write(file, whole);
  }
  load();
}

TEST_F(HuggingFaceTest, ATruncatedGgufFileIsRefused) {
  copy("gemma3");
  const std::string whole = read("model.gguf");
  for (size_t length = 0; length < whole.size(); length += 1024) {
    write("model.gguf", whole.substr(0, length));
    EXPECT_REFUSED(LanguageModel::load(path("model.gguf"), device_, Precision::f32), "model.gguf");
  }
}

}  // namespace
}  // namespace sae
