#include "engine/files/json.h"
#include "models/language_model/tokenizer.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::ElementsAre;

// Byte-level: the letters a and b, a space (spelt U+0120), "ab" and " a"; <|end|> is added behind them.
constexpr const char* byte_level = R"({
  "added_tokens": [{"id": 5, "content": "<|end|>", "special": true}],
  "normalizer": null,
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
  "post_processor": {"type": "ByteLevel"},
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġa": 4}, "merges": ["a b", ["Ġ", "a"]]}})";

// SentencePiece's form: spaces marked, one put before the text, bytes for what has no token, <s> before the text.
constexpr const char* marked_spaces = R"({
  "added_tokens": [{"id": 0, "content": "<s>", "special": true}, {"id": 1, "content": "[tool]", "special": false}],
  "normalizer": {"type": "Sequence", "normalizers": [
    {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
  "pre_tokenizer": null,
  "post_processor": {"type": "TemplateProcessing", "single": [
    {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]},
  "model": {"type": "BPE", "byte_fallback": true, "unk_token": null, "merges": ["▁ a", "a b"],
    "vocab": {"<s>": 0, "[tool]": 1, "<0xC3>": 2, "<0xA9>": 3, "▁": 4, "a": 5, "b": 6, "▁a": 7, "ab": 8}}})";

class TokenizerFolder : public ::testing::Test {
 protected:
  Tokenizer open(const std::string& json, const std::string& config = "{}") {
    folder_.write("tokenizer.json", json);
    folder_.write("tokenizer_config.json", config);
    return Tokenizer::from_folder(folder_.path("."));
  }
  static std::string changed(std::string text, std::string_view from, std::string_view to) {
    const size_t at = text.find(from);
    CHECK(at != std::string::npos, "the test looks for '{}'", from);
    return text.replace(at, from.size(), to);
  }
  TemporaryFolder folder_;
};

TEST_F(TokenizerFolder, ByteLevel) {
  Tokenizer tokenizer = open(byte_level, R"({"eos_token": "<|end|>", "bos_token": {"content": "<|end|>"}})");
  EXPECT_EQ(tokenizer.size(), 6);
  EXPECT_THAT(tokenizer.encode("ab a"), ElementsAre(3, 4));
  EXPECT_THAT(tokenizer.encode("a<|end|>b", true), ElementsAre(0, 5, 1));
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{3, 4, 5}), "ab a<|end|>");
  EXPECT_EQ(tokenizer.end_of_text(), 5);
  EXPECT_EQ(tokenizer.beginning_of_text(), 5);
  EXPECT_FALSE(tokenizer.adds_beginning());
}

TEST_F(TokenizerFolder, MarkedSpaces) {
  Tokenizer tokenizer = open(marked_spaces);
  EXPECT_THAT(tokenizer.encode("ab é"), ElementsAre(7, 6, 4, 2, 3));
  EXPECT_THAT(tokenizer.encode("<s>"), ElementsAre(4)) << "no token for <, s and >, and none for unknown characters";
  EXPECT_THAT(tokenizer.encode("<s>a", true), ElementsAre(0, 7));
  EXPECT_THAT(tokenizer.encode("a[tool]b"), ElementsAre(7, 1, 4, 6))
      << "tokens that are not special are always cut out";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("ab é")), "ab é");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("  a  ")), "  a  ");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a[tool] b")), "a[tool] b");
  EXPECT_EQ(tokenizer.beginning_of_text(), 0);
  EXPECT_TRUE(tokenizer.adds_beginning());
}

}  // namespace
}  // namespace sae
