#include <filesystem>

#include "engine/files/json.h"
#include "models/language_model/gguf.h"
#include "models/language_model/tokenizer.h"
#include "models/language_model/utf8.h"
#include "tests/models/gguf_writer.h"
#include "tests/models/subject_model.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using testing::GgufWriter;
namespace fs = std::filesystem;

// 600 strings, and the ids that tokenizers, sentencepiece and llama.cpp give for them: golden/tokenizer_ids.py.
class TokenizerGolden : public ::testing::Test {
 protected:
  Json golden_ = Json::read(SAE_GOLDEN "/tokenizer_ids.json");
  std::vector<std::string> strings_ = golden_.at("strings").texts();

  Tokenizer from_folder(const std::string& form) {
    Json json = golden_.at("forms").at(form);
    Json model = json.at("model");
    const Json source = golden_.at(is_marked(form) ? "sentencepiece" : "byte_level");
    Json vocabulary = Json::object();
    for (int64_t id = 0; id < source.at("tokens").size(); ++id) {
      vocabulary.set(source.at("tokens").at(id).text(), id);
    }
    model.set("vocab", vocabulary).set("merges", source.at("merges"));
    folder_.write("tokenizer.json", json.set("model", model).dump());
    return Tokenizer::from_folder(folder_.path("."));
  }

  /// Qwen 2's form: vocab.json, merges.txt and tokenizer_config.json.
  void write_vocabulary_files() {
    const Json source = golden_.at("byte_level");
    Json vocabulary = Json::object();
    for (int64_t id = 0; id < source.at("tokens").size(); ++id) vocabulary.set(source.at("tokens").at(id).text(), id);
    std::string merges = "#version: 0.2\n";
    for (const std::string& line : source.at("merges").texts()) merges += line + "\n";
    folder_.write("vocab.json", vocabulary.dump());
    folder_.write("merges.txt", merges);
    folder_.write("tokenizer_config.json", R"({"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>",
      "added_tokens_decoder": {"1": {"content": "<|im_start|>", "special": true}}})");
  }

  static bool is_marked(const std::string& form) { return form.starts_with("llama-2") || form == "gemma"; }

  Tokenizer from_gguf(const std::string& form) {
    GgufWriter file;
    if (is_marked(form)) {
      const Json source = golden_.at("sentencepiece");
      std::vector<int32_t> kinds;
      for (const int64_t kind : source.at("kinds").integers()) kinds.push_back(static_cast<int32_t>(kind));
      std::string scores = GgufWriter::plain<uint32_t>(GgufWriter::f32) + GgufWriter::plain<uint64_t>(kinds.size());
      for (const double score : source.at("scores").numbers()) scores += GgufWriter::plain(static_cast<float>(score));
      file.text("tokenizer.ggml.model", "llama").texts("tokenizer.ggml.tokens", source.at("tokens").texts());
      file.integers("tokenizer.ggml.token_type", kinds).entry("tokenizer.ggml.scores", GgufWriter::array, scores);
      if (form == "gemma") file.truth("tokenizer.ggml.add_space_prefix", false);
    } else {
      const Json source = golden_.at("byte_level");
      std::vector<int32_t> kinds(static_cast<size_t>(source.at("tokens").size()), 1);
      for (int64_t id = 0; id < source.at("special").integer(); ++id) kinds[static_cast<size_t>(id)] = 3;
      file.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", form);
      file.texts("tokenizer.ggml.tokens", source.at("tokens").texts()).integers("tokenizer.ggml.token_type", kinds);
      file.texts("tokenizer.ggml.merges", source.at("merges").texts());
    }
    return Tokenizer(GgufFile(folder_.write("model.gguf", file.bytes())));
  }

  /// The ids of `form`; `program`'s, where it gives others.
  std::vector<int64_t> expected(const std::string& form, size_t i, const std::string& program = "") {
    const std::string place = std::to_string(i);
    const Json unlike = golden_.at("unlike");
    if (!program.empty() && unlike.has(form) && unlike.at(form).has(program) &&
        unlike.at(form).at(program).has(place)) {
      return unlike.at(form).at(program).at(place).integers();
    }
    return golden_.at("ids").at(form).at(static_cast<int64_t>(i)).integers();
  }

  void expect_golden(Tokenizer& tokenizer, const std::string& form, const std::string& program = "") {
    ASSERT_EQ(strings_.size(), 600u);
    for (size_t i = 0; i < strings_.size(); ++i) {
      const std::vector<int32_t> ids = tokenizer.encode(strings_[i]);
      EXPECT_EQ(std::vector<int64_t>(ids.begin(), ids.end()), expected(form, i, program))
          << form << " " << program << ": " << Json(strings_[i]).dump();
    }
  }

  /// `text` with what this form's encoding takes away from a text.
  static std::string kept(const std::string& form, const std::string& text) {
    if (form == "qwen2") return compose(text);
    if (!is_marked(form)) return text;
    std::string kept = unspell_spaces(text);  // U+2581 stands for a space
    // where a text that begins with a space is given none, decoding takes its own away
    if (form == "llama-2 metaspace" && kept.starts_with(' ')) kept.erase(0, 1);
    return kept;
  }

  TemporaryFolder folder_;
};

TEST_F(TokenizerGolden, FoldersAgreeWithTheTokenizersPackage) {
  for (const std::string form : {"smollm", "gpt-2", "llama-bpe", "qwen2", "llama-2", "llama-2 metaspace", "gemma"}) {
    Tokenizer tokenizer = from_folder(form);
    expect_golden(tokenizer, form);
    for (const std::string& text : strings_) {
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), kept(form, text)) << form << ": " << Json(text).dump();
    }
  }
}

TEST_F(TokenizerGolden, GgufAgreesWithLlamaCpp) {
  for (const std::string form : {"smollm", "gpt-2", "llama-bpe", "qwen2", "llama-2", "gemma"}) {
    Tokenizer tokenizer = from_gguf(form);
    expect_golden(tokenizer, form, "llama.cpp");
    for (const std::string& text : strings_) {
      const std::string expected = is_marked(form) ? unspell_spaces(text) : text;  // no normal form here
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), expected) << form << ": " << Json(text).dump();
    }
  }
}

TEST_F(TokenizerGolden, SpecialTokensAgreeWithTheTokenizersPackage) {
  int compared = 0;
  for (const std::string form : {"smollm", "gpt-2", "llama-bpe", "qwen2", "llama-2", "llama-2 metaspace", "gemma"}) {
    Tokenizer tokenizer = from_folder(form);
    int64_t at = 0;
    for (const std::string& text : strings_) {
      if (text.find(is_marked(form) ? "<s>" : "<|") == std::string::npos) continue;
      const std::vector<int32_t> ids = tokenizer.encode(text, true);
      EXPECT_EQ(std::vector<int64_t>(ids.begin(), ids.end()), golden_.at("special_ids").at(form).at(at++).integers())
          << form << ": " << text;
      ++compared;
    }
  }
  EXPECT_GE(compared, 10);
}

TEST_F(TokenizerGolden, BytesThatAreNoUtf8ComeBack) {
  const Philox random(5, 0);
  for (const std::string form : {"smollm", "gpt-2", "llama-bpe", "qwen2", "llama-2", "gemma"}) {
    Tokenizer from[] = {from_folder(form), from_gguf(form)};
    for (uint64_t round = 0; round < 60; ++round) {
      std::string text = "a";
      for (uint64_t i = 0; i < round; ++i) {
        text += random.below(2 * (100 * round + i), 3) == 0
                    ? "x"
                    : std::string(1, static_cast<char>(random.below(2 * (100 * round + i) + 1, 256)));
      }
      for (Tokenizer& tokenizer : from) {
        std::vector<int32_t> ids;
        EXPECT_EQ(tokenizer.encode(text, ids), 0) << form;
        if (form == "qwen2") continue;  // composed
        EXPECT_EQ(tokenizer.decode(ids), text) << form << ": " << Json(text).dump();
      }
    }
  }
}

TEST_F(TokenizerGolden, VocabularyAndMergesAsFilesOfTheirOwn) {
  write_vocabulary_files();
  folder_.write("tokenizer_config.json", "{}");
  Tokenizer gpt2 = Tokenizer::from_folder(folder_.path("."));
  expect_golden(gpt2, "gpt-2");
  EXPECT_EQ(gpt2.piece(gpt2.end_of_text()), "<|endoftext|>");
  write_vocabulary_files();
  Tokenizer qwen2 = Tokenizer::from_folder(folder_.path("."));
  expect_golden(qwen2, "qwen2");
  EXPECT_EQ(qwen2.end_of_turn(), 2);
  EXPECT_EQ(qwen2.encode("<|im_start|>", true), std::vector<int32_t>{1});
}

// What a file of a real size says that ends too soon, at every kilobyte.
TEST_F(TokenizerGolden, EveryKilobyteOfATruncatedFile) {
  constexpr size_t kilobyte = 1024;
  from_folder("llama-bpe");
  const std::string whole = folder_.read("tokenizer.json");
  for (size_t length = kilobyte; length < whole.size(); length += kilobyte) {
    folder_.write("tokenizer.json", whole.substr(0, length));
    EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")), "tokenizer.json: not valid JSON: parse error at line ");
  }
  fs::remove(folder_.path("tokenizer.json"));
  write_vocabulary_files();
  for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json"}) {
    const std::string all = folder_.read(name);
    for (size_t length = kilobyte; length < all.size(); length += kilobyte) {
      folder_.write(name, all.substr(0, length));
      EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")), name);
    }
    folder_.write(name, all.substr(0, 10));
    EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")), name);
    folder_.write(name, all);
  }
  const std::string merges = folder_.read("merges.txt");  // at a line's end too
  folder_.write("merges.txt", merges.substr(0, merges.rfind('\n', merges.size() - 2) + 1));
  EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")), "merges.txt: no merge up to its end at byte ");
  from_gguf("llama-2");
  const std::string model = folder_.read("model.gguf");
  ASSERT_GT(model.size(), 10 * kilobyte);
  for (size_t length = kilobyte; length < model.size(); length += kilobyte) {
    EXPECT_REFUSED(Tokenizer(GgufFile(folder_.write("model.gguf", model.substr(0, length)))), "model.gguf: byte ");
  }
}

TEST_F(TokenizerGolden, SubjectModelAgreesWithLlamaCpp) {
  REQUIRE_SUBJECT_MODEL(path);
  Tokenizer tokenizer{GgufFile(path)};
  for (size_t i = 0; i < strings_.size(); ++i) {
    std::vector<int32_t> ids;
    const int64_t lost = tokenizer.encode(strings_[i], ids);
    EXPECT_EQ(std::vector<int64_t>(ids.begin(), ids.end()), expected("SmolLM2", i)) << Json(strings_[i]).dump();
    if (lost > 0) continue;
    EXPECT_EQ(tokenizer.decode(ids), strings_[i]);
  }
}

}  // namespace
}  // namespace sae
