#include "engine/files/json.h"
#include "models/language_model/tokenizer.h"
#include "tests/support/damage.h"
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

TEST_F(TokenizerFolder, Refusals) {
  const auto without = [&](std::string_view from, std::string_view to, const char* text = byte_level) {
    return changed(text, from, to);
  };
  EXPECT_REFUSED(open("{\"model\": 3"), "tokenizer.json: not valid JSON: ");
  EXPECT_REFUSED(open("{}"), "tokenizer.json: the key \"model\" is missing");
  EXPECT_REFUSED(open(without("\"BPE\"", "\"Unigram\"")),
                 "a tokenizer of type 'Unigram' is not supported; supported: BPE");
  EXPECT_REFUSED(open(without("\"a b\", [\"Ġ\", \"a\"]", "")), "tokenizer.json: the list of merges is empty");
  EXPECT_REFUSED(open(without(", \"merges\": [\"a b\", [\"Ġ\", \"a\"]]", "")), "model the key \"merges\" is missing");
  EXPECT_REFUSED(open(without("\"a b\"", "\"b a\"")), "merge 0 ('b a') has the part 'ba', which is no token");
  EXPECT_REFUSED(open(without("\"a b\"", "\"a z\"")), "merge 0 ('a z') has the part 'z', which is no token");
  EXPECT_REFUSED(open(without("\"a b\"", "\"ab\"")), "merge 0 is 'ab', where two parts");
  EXPECT_REFUSED(open(without("[\"Ġ\", \"a\"]", "[\"Ġ\"]")), "merge 1 has 1 parts");
  // no chain of merges can come back to where it began, since a merge of nothing is none
  EXPECT_REFUSED(open(without("[\"Ġ\", \"a\"]", "[\"a\", \"\"]")), "merge 1 has an empty part");
  EXPECT_REFUSED(open(without("\"a\": 0", "\"a\": -1")), "token 'a' has the id -1, but the file lists 6 tokens");
  EXPECT_REFUSED(open(without("\"a\": 0", "\"a\": 4000000000")),
                 "token 'a' has the id 4000000000, but the file lists 6");
  EXPECT_REFUSED(open(without("\"b\": 1", "\"b\": 0")), "token 'b' has the id 0, as another has");
  EXPECT_REFUSED(open(without("\"b\": 1", "\"a\": 1")), "the key \"a\" is given twice");
  EXPECT_REFUSED(open(without("\"id\": 5", "\"id\": 3")), "the added token '<|end|>' has the id 3, as another has");
  EXPECT_REFUSED(open(without("\"special\"", "\"lstrip\"")),
                 "the added token '<|end|>' with 'lstrip' is not supported");
  EXPECT_REFUSED(open(without("\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}")),
                 "the normalizer {\"type\":\"Lowercase\"} is not supported");
  EXPECT_REFUSED(open(without("\"add_prefix_space\": false", "\"add_prefix_space\": true")), "the pre_tokenizer {");
  EXPECT_REFUSED(open(without("\"ByteLevel\"", "\"BertPreTokenizer\"")), "the pre_tokenizer {");
  EXPECT_REFUSED(
      open(without("\"pre_tokenizer\": null", "\"pre_tokenizer\": {\"type\": \"Whitespace\"}", marked_spaces)),
      "the pre_tokenizer {\"type\":\"Whitespace\"} is not supported");
  EXPECT_REFUSED(open(without("{\"id\": \"<s>\", \"type_id\"", "{\"id\": \"<z>\", \"type_id\"", marked_spaces)),
                 "the post_processor begins with '<z>', which is no token");
  EXPECT_REFUSED(open(byte_level, "[]"), "tokenizer_config.json: expected an object");
  EXPECT_REFUSED(Tokenizer::from_folder(folder_.path("none")), "neither tokenizer.json nor vocab.json");
}

TEST_F(TokenizerFolder, EveryTruncationIsRefused) {
  for (const char* whole : {byte_level, marked_spaces}) {
    expect_truncations_refused([&](const std::string& bytes) { return open(bytes).decode({}); }, whole);
  }
}

TEST_F(TokenizerFolder, SurvivesRandomEdits) {
  const auto read = [&](const std::string& bytes) {
    Tokenizer tokenizer = open(bytes);
    return tokenizer.decode(tokenizer.encode("ab a <s>é", true));
  };
  for (const char* whole : {byte_level, marked_spaces}) expect_survives_edits(read, whole, 11, 1500);
}

TEST_F(TokenizerFolder, VocabularyFilesAreRefusedByName) {
  folder_.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")), "neither tokenizer.json nor vocab.json with merges.txt");
  folder_.write("merges.txt", "#version: 0.2\na b\na c\n");
  EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")), "merges.txt: merge 1 ('a c') has the part 'c'");
  folder_.write("merges.txt", "#version: 0.2\n");
  EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")), "merges.txt: the list of merges is empty");
  folder_.write("merges.txt", "a b");
  EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")), "merges.txt: ends within a line, at byte 3");
  folder_.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "aba": 3, "<pad>": 4})");
  folder_.write("merges.txt", "a b\n");
  EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")),
                 "merges.txt: no merge up to its end at byte 4 makes the token 'aba'");
  folder_.write("merges.txt", "a b\nab a\n");
  EXPECT_THAT(Tokenizer::from_folder(folder_.path(".")).encode("ab"), ElementsAre(2));
  folder_.write("tokenizer_config.json", R"({"tokenizer_class": "CodeGenTokenizer"})");
  EXPECT_REFUSED(Tokenizer::from_folder(folder_.path(".")), "a CodeGenTokenizer is not supported");
}

}  // namespace
}  // namespace sae
