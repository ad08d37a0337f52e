#include "models/language_model/tokenizer.h"

#include <cmath>

#include "models/language_model/gguf.h"
#include "tests/models/gguf_writer.h"
#include "tests/models/subject_model.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
using testing::GgufWriter;

// Letters a to f, space (spelt U+0120), newline (U+010A), the two bytes of e acute, and what merges make of them.
const std::vector<std::string> vocabulary = {
    "<|end|>",      "a", "b", "c", "d", "e", "f", "\u0120", "\u010a", "\u00c3", "\u00a9", "ab", "abc", "\u0120a", "cd",
    "\u00c3\u00a9", "aa"};
const std::vector<std::string> merges = {"a b", "c d", "ab c", "\u0120 a", "\u00c3 \u00a9", "a a"};

GgufWriter small_tokenizer() {
  GgufWriter writer;
  writer.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "smollm");
  writer.texts("tokenizer.ggml.tokens", vocabulary).texts("tokenizer.ggml.merges", merges);
  std::vector<int32_t> types(vocabulary.size(), 1);
  types[0] = 3;
  writer.integers("tokenizer.ggml.token_type", types).integer("tokenizer.ggml.eos_token_id", 0);
  return writer;
}

class TokenizerTest : public ::testing::Test {
 protected:
  Tokenizer open(const GgufWriter& writer) { return Tokenizer(GgufFile(folder_.write("model.gguf", writer.bytes()))); }
  std::vector<std::string> pieces(Tokenizer& tokenizer, std::string_view text, bool special = false) {
    std::vector<std::string> all;
    for (const int32_t id : tokenizer.encode(text, special)) all.emplace_back(tokenizer.piece(id));
    return all;
  }
  TemporaryFolder folder_;
};

TEST_F(TokenizerTest, MergesInOrderOfTheList) {
  Tokenizer tokenizer = open(small_tokenizer());
  // "a b" stands before "c d", and "c d" before "ab c": so abcd is ab + cd, and abcf abc + f
  EXPECT_THAT(pieces(tokenizer, "abcd"), ElementsAre("ab", "cd"));
  EXPECT_THAT(pieces(tokenizer, "abcf"), ElementsAre("abc", "f"));
  EXPECT_THAT(pieces(tokenizer, "aaa"), ElementsAre("aa", "a"));  // the leftmost pair first
  EXPECT_THAT(pieces(tokenizer, "ab ad"), ElementsAre("ab", " a", "d"));
  EXPECT_THAT(pieces(tokenizer, "d\u00e9"), ElementsAre("d", "\u00e9"));
  EXPECT_THAT(pieces(tokenizer, ""), ElementsAre());
}

TEST_F(TokenizerTest, WordsDoNotMergeOverTheirBounds) {
  Tokenizer tokenizer = open(small_tokenizer());
  // white space: the last before a word goes with it where it is a space; the rest is a word of its own
  EXPECT_THAT(pieces(tokenizer, "a  a"), ElementsAre("a", " ", " a"));
  EXPECT_THAT(pieces(tokenizer, "a\n\na"), ElementsAre("a", "\n", "\n", "a"));
  EXPECT_THAT(pieces(tokenizer, "a\n a"), ElementsAre("a", "\n", " a"));
  EXPECT_THAT(pieces(tokenizer, "a  "), ElementsAre("a", " ", " "));
}

TEST_F(TokenizerTest, InvalidUtf8IsEncodedAsItsBytes) {
  Tokenizer tokenizer = open(small_tokenizer());
  const std::string half_character =
      "a\xc3"
      "b";
  EXPECT_THAT(pieces(tokenizer, half_character), ElementsAre("a", "\xc3", "b"));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(half_character)), half_character);
  EXPECT_THAT(pieces(tokenizer, "\xa9\xc3\xa9"), ElementsAre("\xa9", "\u00e9"));
}

TEST_F(TokenizerTest, BytesWithoutATokenAreCounted) {
  Tokenizer tokenizer = open(small_tokenizer());
  std::vector<int32_t> ids;
  EXPECT_EQ(tokenizer.encode("azb\xff", ids), 2);
  EXPECT_EQ(tokenizer.encode("azb\xff", ids), 2);  // the same from a word that was seen before
  EXPECT_EQ(tokenizer.decode(ids), "abab");
}

TEST_F(TokenizerTest, SpecialTokensOnlyWhenAskedFor) {
  GgufWriter writer = small_tokenizer();
  Tokenizer tokenizer = open(writer);
  EXPECT_THAT(tokenizer.encode("ab<|end|>a<|end|>", true), ElementsAre(11, 0, 1, 0));
  std::vector<int32_t> ids;
  EXPECT_EQ(tokenizer.encode("<|end|>", ids), 5);  // of "<|end|>" only e and d have tokens here
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.is_special(1));
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{0, 1}), "<|end|>a");
  EXPECT_EQ(tokenizer.end_of_turn(), 0);
}

/// Merges written from the definition: the pair that stands highest, the leftmost of equals, until there is none.
std::vector<std::string> merged_by_definition(std::vector<std::string> parts) {
  while (true) {
    size_t best = merges.size(), place = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      for (size_t rank = 0; rank < best; ++rank) {
        if (merges[rank] == parts[i] + " " + parts[i + 1]) best = rank, place = i;
      }
    }
    if (best == merges.size()) return parts;
    parts[place] += parts[place + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

TEST_F(TokenizerTest, WordsOfEveryLengthAgreeWithTheDefinition) {
  Tokenizer tokenizer = open(small_tokenizer());
  const Philox random(3, 0);
  for (uint64_t length = 1; length < 140; ++length) {  // short words are merged one way, long ones another
    std::string word;
    std::vector<std::string> letters;
    for (uint64_t i = 0; i < length; ++i) {
      word += "aaabcdef"[random.below(length * 200 + i, 8)];
      letters.push_back(word.substr(i, 1));
    }
    const auto expected = merged_by_definition(letters);
    EXPECT_EQ(pieces(tokenizer, word), expected) << word;
    EXPECT_EQ(pieces(tokenizer, word), expected) << "a second time: " << word;
  }
}

TEST_F(TokenizerTest, AMillionLettersInOneWord) {
  Tokenizer tokenizer = open(small_tokenizer());
  EXPECT_EQ(tokenizer.encode(std::string(1000000, 'a')).size(), 500000u);
}

TEST_F(TokenizerTest, Refusals) {
  const auto without = [](const char* key) { return small_tokenizer().remove(key); };
  EXPECT_REFUSED(open(without("tokenizer.ggml.merges")), "model.gguf: the metadata lack 'tokenizer.ggml.merges'");
  EXPECT_REFUSED(open(without("tokenizer.ggml.tokens")), "the metadata lack 'tokenizer.ggml.tokens'");
  EXPECT_REFUSED(open(without("tokenizer.ggml.merges").texts("tokenizer.ggml.merges", {})), "merges is empty");
  EXPECT_REFUSED(open(without("tokenizer.ggml.merges").texts("tokenizer.ggml.merges", {"a b", "a z"})),
                 "merge 1 ('a z') has the part 'z', which is no token");
  EXPECT_REFUSED(open(without("tokenizer.ggml.merges").texts("tokenizer.ggml.merges", {"b a"})), "the part 'ba'");
  EXPECT_REFUSED(open(without("tokenizer.ggml.merges").texts("tokenizer.ggml.merges", {"ab"})), "merge 0 is 'ab'");
  EXPECT_REFUSED(open(without("tokenizer.ggml.merges").texts("tokenizer.ggml.merges", {"a "})), "merge 0 is 'a '");
  EXPECT_REFUSED(open(without("tokenizer.ggml.pre").text("tokenizer.ggml.pre", "runes")),
                 "the pre-tokenizer 'runes' is not supported; supported: smollm, gpt-2");
  EXPECT_REFUSED(open(without("tokenizer.ggml.model").text("tokenizer.ggml.model", "bert")),
                 "the tokenizer 'bert' is not supported; supported: gpt2");
  EXPECT_REFUSED(open(without("tokenizer.ggml.token_type").integers("tokenizer.ggml.token_type", {1, 2})),
                 "17 tokens, but 2 token types");
  EXPECT_REFUSED(open(without("tokenizer.ggml.eos_token_id").integer("tokenizer.ggml.eos_token_id", 17)),
                 "tokenizer.ggml.eos_token_id is 17, outside the vocabulary of 17");
  Tokenizer tokenizer = open(small_tokenizer());
  EXPECT_REFUSED(tokenizer.decode(std::vector<int32_t>{17}), "tokenizer: no token 17; there are 17");
  EXPECT_REFUSED(tokenizer.piece(-1), "tokenizer: no token -1");
}

GgufWriter scored_tokenizer(const std::vector<float>& scores, const std::vector<int32_t>& kinds) {
  GgufWriter writer;
  writer.text("tokenizer.ggml.model", "llama");
  writer.texts("tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "<0xC3>", "\u2581", "a", "b", "ab", "\u2581a"});
  std::string bytes = GgufWriter::plain<uint32_t>(GgufWriter::f32) + GgufWriter::plain<uint64_t>(scores.size());
  for (const float score : scores) bytes += GgufWriter::plain(score);
  writer.entry("tokenizer.ggml.scores", GgufWriter::array, bytes).integers("tokenizer.ggml.token_type", kinds);
  return writer;
}
const std::vector<float> scores = {0, 0, 0, 0, -3, -4, -5, -1, -2};
const std::vector<int32_t> kinds = {2, 3, 3, 6, 1, 1, 1, 1, 1};

TEST_F(TokenizerTest, HighestScoreFirst) {
  Tokenizer tokenizer = open(scored_tokenizer(scores, kinds));
  EXPECT_THAT(tokenizer.encode("ab a"), ElementsAre(4, 7, 8)) << "'ab' before ' a', whatever stands first";
  EXPECT_THAT(tokenizer.encode("\xc3"), ElementsAre(4, 3)) << "a byte's token";
  std::vector<int32_t> ids;
  EXPECT_EQ(tokenizer.encode("a\xc4\xc5", ids), 2) << "and the unknown one, once, where there is none";
  EXPECT_THAT(ids, ElementsAre(8, 0));
  EXPECT_TRUE(tokenizer.adds_beginning());
  EXPECT_EQ(tokenizer.beginning_of_text(), 1);
  EXPECT_EQ(tokenizer.end_of_text(), 2);
  std::vector<int32_t> unused = kinds;
  unused[7] = 5;  // "ab" is cut again into what it was made of
  Tokenizer without = open(scored_tokenizer(scores, unused));
  EXPECT_THAT(without.encode("ab"), ElementsAre(4, 5, 6));
}

TEST_F(TokenizerTest, ScoredRefusals) {
  EXPECT_REFUSED(open(scored_tokenizer({0, 1}, kinds)), "9 tokens, but 2 scores");
  std::vector<float> no_number = scores;
  no_number[4] = NAN;
  EXPECT_REFUSED(open(scored_tokenizer(no_number, kinds)), "token 4 ('\u2581') has the score nan");
  std::vector<int32_t> wrong = kinds;
  wrong[5] = 6;
  EXPECT_REFUSED(open(scored_tokenizer(scores, wrong)), "token 5 is to be a byte, but is spelt 'a'");
  wrong[5] = 9;
  EXPECT_REFUSED(open(scored_tokenizer(scores, wrong)), "token 5 ('a') has type 9");
}

TEST(SubjectTokenizer, EveryByteSequenceThatHasTokensComesBack) {
  REQUIRE_SUBJECT_MODEL(path);
  Tokenizer tokenizer{GgufFile(path)};
  EXPECT_EQ(tokenizer.size(), 49152);
  EXPECT_EQ(tokenizer.piece(tokenizer.end_of_text()), "<|endoftext|>");
  int64_t bytes_without_token = 0;
  for (int byte = 0; byte < 256; ++byte) {
    std::vector<int32_t> ids;
    bytes_without_token += tokenizer.encode(std::string(1, static_cast<char>(byte)), ids);
  }
  EXPECT_EQ(bytes_without_token, 21);
  const Philox random(11, 0);
  for (uint64_t round = 0; round < 300; ++round) {
    std::string text;
    for (uint64_t i = 0; i < 1 + round; ++i) text += static_cast<char>(random.below(round * 1000 + i, 256));
    std::vector<int32_t> ids;
    const int64_t lost = tokenizer.encode(text, ids);
    EXPECT_EQ(tokenizer.decode(ids).size() + static_cast<size_t>(lost), text.size());
    if (lost == 0) {
      EXPECT_EQ(tokenizer.decode(ids), text);
    }
  }
  EXPECT_THAT(tokenizer.encode("<|im_start|>user", true), ElementsAre(1, 4093));
}

}  // namespace
}  // namespace sae
