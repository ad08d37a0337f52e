#include "models/language_model/gguf.h"

#include "tests/models/gguf_writer.h"
#include "tests/support/damage.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tensors.h"

namespace sae {
namespace {

using ::testing::ElementsAre;
using testing::GgufWriter;

constexpr uint32_t type_f32 = 0, type_q2_k = 10, type_q8_0 = 8;

GgufWriter small() {
  GgufWriter writer;
  writer.text("general.architecture", "llama").integer("layers", 30).number("epsilon", 0.5f).truth("yes", true);
  writer.texts("tokens", {"a", "", "bc"}).integers("types", {1, -3, 7});
  std::string numbers;
  for (int i = 0; i < 6; ++i) numbers += GgufWriter::plain(static_cast<float>(i) - 2.5f);
  writer.tensor("first", {2, 3}, type_f32, numbers).tensor("second", {1}, type_f32, GgufWriter::plain(7.0f));
  return writer;
}

class Gguf : public ::testing::Test {
 protected:
  GgufFile open(const GgufWriter& writer) { return open(writer.bytes()); }
  GgufFile open(const std::string& bytes) { return GgufFile(folder_.write("model.gguf", bytes)); }
  /// Everything that a file says, as text.
  std::string read_all(const std::string& bytes) {
    const GgufFile file = open(bytes);
    std::string all = std::string(file.text("general.architecture")) + fmt::format("{}", file.integer("layers"));
    for (const auto& tensor : file.tensors()) {
      std::vector<float> values(static_cast<size_t>(tensor.shape.elements()));
      file.read(tensor, values);
      all += tensor.shape.to_string();
      for (const float value : values) all += fmt::format(" {}", value);
    }
    return all;
  }
  TemporaryFolder folder_;
};

TEST_F(Gguf, ReadsWhatWasWritten) {
  const GgufFile file = open(small());
  EXPECT_EQ(file.text("general.architecture"), "llama");
  EXPECT_EQ(file.integer("layers"), 30);
  EXPECT_EQ(file.number("layers"), 30);
  EXPECT_EQ(file.number("epsilon"), 0.5);
  EXPECT_TRUE(file.boolean_or("yes", false));
  EXPECT_TRUE(file.boolean_or("no such key", true));
  EXPECT_EQ(file.integer_or("no such key", 5), 5);
  EXPECT_THAT(file.texts("tokens"), ElementsAre("a", "", "bc"));
  EXPECT_THAT(file.numbers("types"), ElementsAre(1, -3, 7));
  ASSERT_EQ(file.tensors().size(), 2u);
  const auto& first = file.tensor("first", {2, 3});
  std::vector<float> values(6);
  file.read(first, values);
  EXPECT_THAT(values, ElementsAre(-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f));
  std::vector<float> one(1);
  file.read(file.tensor("second", {1}), one);
  EXPECT_EQ(one[0], 7);
}

TEST_F(Gguf, EveryTruncationIsRefused) {
  expect_truncations_refused([&](const std::string& bytes) { return read_all(bytes); }, small().bytes());
}

TEST_F(Gguf, SurvivesRandomEdits) {
  expect_survives_edits([&](const std::string& bytes) { return read_all(bytes); }, small().bytes(), 7, 4000);
}

TEST_F(Gguf, TruncationIsNamed) {
  const std::string whole = small().bytes();
  EXPECT_REFUSED(open(whole.substr(0, whole.size() - 1)), "it is truncated: fetch it again");
  EXPECT_REFUSED(open(whole.substr(0, 30)), "model.gguf: byte");
  EXPECT_REFUSED(open(whole.substr(0, 10)), "byte 8: the file ends here, within its header");
}

TEST_F(Gguf, WrongKindsOfFile) {
  EXPECT_REFUSED(open("PK\x03\x04 something else entirely"), "byte 0: expected 'GGUF'; this is no GGUF model file");
  std::string old = small().bytes();
  old[4] = 1;
  EXPECT_REFUSED(open(old), "byte 4: version 1; versions 2 and 3 are supported");
  std::string swapped = small().bytes();
  swapped.replace(4, 4, std::string("\0\0\0\3", 4));
  EXPECT_REFUSED(open(swapped), "big-endian");
  EXPECT_REFUSED(GgufFile(folder_.path("missing.gguf")), "missing.gguf");
}

TEST_F(Gguf, AbsurdCountsAreRefusedBeforeRoomIsMade) {
  const auto with_count = [&](size_t at, uint64_t count) {
    std::string bytes = small().bytes();
    bytes.replace(at, 8, GgufWriter::plain(count));
    return bytes;
  };
  for (const uint64_t count : {uint64_t{1} << 40, ~uint64_t{0}, uint64_t{1} << 63}) {
    EXPECT_REFUSED(open(with_count(8, count)), "byte 8: ");
    EXPECT_REFUSED(open(with_count(16, count)), "byte 16: ");
    EXPECT_REFUSED(open(with_count(24, count)), "byte 24: a metadata key of ");
    GgufWriter list;
    list.entry("tokens", GgufWriter::array, GgufWriter::plain<uint32_t>(GgufWriter::string) + GgufWriter::plain(count));
    EXPECT_REFUSED(open(list), "texts in a list, which need at least 8 bytes each");
    GgufWriter numbers;
    numbers.entry("types", GgufWriter::array, GgufWriter::plain<uint32_t>(GgufWriter::f64) + GgufWriter::plain(count));
    EXPECT_REFUSED(open(numbers), "numbers in a list");
    GgufWriter text;
    text.entry("name", GgufWriter::string, GgufWriter::plain(count) + "x");
    EXPECT_REFUSED(open(text), "a text of ");
  }
}

TEST_F(Gguf, BadMetadata) {
  EXPECT_REFUSED(open(small().integer("layers", 2)), "the key 'layers' stands here again");
  EXPECT_REFUSED(open(GgufWriter().entry("key", 13, "")), "'key' has a value of kind 13");
  EXPECT_REFUSED(open(GgufWriter().entry("key", GgufWriter::boolean, "\x02")), "'key' is 2, where 0 or 1");
  EXPECT_REFUSED(open(GgufWriter().entry("key", GgufWriter::u64, std::string(8, '\xff'))),
                 "'key' is 18446744073709551615");
  const std::string nested = GgufWriter::plain<uint32_t>(GgufWriter::array) + GgufWriter::plain<uint64_t>(1);
  EXPECT_REFUSED(open(GgufWriter().entry("key", GgufWriter::array, nested)), "a list of values of kind 9");
  EXPECT_REFUSED(open(GgufWriter().integer("general.alignment", 24)), "general.alignment is 24");
  EXPECT_REFUSED(open(GgufWriter().integer("general.alignment", 0)), "general.alignment is 0");
  const GgufFile file = open(small());
  EXPECT_REFUSED(file.integer("width"), "model.gguf: the metadata lack 'width'");
  EXPECT_REFUSED(file.integer("epsilon"), "'epsilon' in the metadata is not a whole number");
  EXPECT_REFUSED(file.text("layers"), "'layers' in the metadata is not a text");
  EXPECT_REFUSED(file.texts("types"), "'types' in the metadata is not a list of texts");
  EXPECT_REFUSED(file.boolean_or("layers", true), "not a truth value");
}

TEST_F(Gguf, BadTensors) {
  const std::string four(16, '\0');
  EXPECT_REFUSED(open(small().tensor("first", {4}, type_f32, four)), "the tensor 'first' stands here again");
  EXPECT_REFUSED(open(GgufWriter().tensor("t", {}, type_f32, "")), "tensor 't' has 0 dimensions");
  EXPECT_REFUSED(open(GgufWriter().tensor("t", {1, 1, 1, 1, 4}, type_f32, four)), "tensor 't' has 5 dimensions");
  EXPECT_REFUSED(open(GgufWriter().tensor("t", {0}, type_f32, "")), "tensor 't' has a dimension of 0");
  EXPECT_REFUSED(open(GgufWriter().tensor("t", {1u << 30, 1u << 30, 1u << 30}, type_f32, four)), "has a dimension of");
  EXPECT_REFUSED(open(GgufWriter().tensor("t", {1u << 30, 1u << 30}, type_f32, four)), "is larger than the file");
  EXPECT_REFUSED(open(GgufWriter().tensor("t", {33}, type_q8_0, std::string(68, '\0'))), "no whole blocks of Q8_0");
  EXPECT_REFUSED(open(GgufWriter().tensor("t", {4}, type_f32, four).claim_offset("t", 16)), "no multiple of 32");
  EXPECT_REFUSED(open(GgufWriter().tensor("t", {4}, type_f32, four).claim_offset("t", 1 << 20)),
                 "but the file ends at");
  EXPECT_REFUSED(open(GgufWriter().tensor("t", {4}, type_f32, four).claim_offset("t", INT64_MAX - 31)),
                 "the file ends at");
  EXPECT_REFUSED(open(small().claim_offset("second", 0)), "overlap at byte");
}

TEST_F(Gguf, UnsupportedQuantisationIsNamedWhenItIsRead) {
  GgufWriter writer = small();
  writer.tensor("blk.0.attn_q.weight", {1, 256}, type_q2_k, std::string(84, '\0'));
  const GgufFile file = open(writer);  // the metadata and the other tensors are of use all the same
  EXPECT_REFUSED(file.tensor("blk.0.attn_q.weight", {1, 256}),
                 "tensor 'blk.0.attn_q.weight' is stored as Q2_K, which is not supported; supported: F32, F16, BF16");
  EXPECT_REFUSED(file.tensor("first", {3, 2}), "tensor 'first' is [2, 3], where the metadata ask for [3, 2]");
  EXPECT_REFUSED(file.tensor("third", {3, 2}), "the tensor 'third' is missing");
}

}  // namespace
}  // namespace sae
