#include "engine/files/activation_store.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <numeric>

#include "engine/error.h"
#include "engine/files/activation_writer.h"
#include "tests/support/damage.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int64_t width = 3;
constexpr int64_t context = 4;

StoreDescription description(Dtype dtype = Dtype::f32) {
  return {"tiny model", 22, "resid_post", "train", dtype, width, context, {{"precision", "f32"}}};
}
/// Element `column` of row `row`: exact in bf16 too.
float value(int64_t row, int64_t column) { return static_cast<float>(row % 64) + 0.25f * static_cast<float>(column); }

/// Appends contexts of four rows until the writer holds `rows` rows.
void append_contexts(ActivationWriter& writer, int64_t rows) {
  while (writer.rows() < rows) {
    const int64_t first = writer.rows();
    std::vector<float> values;
    std::vector<int32_t> tokens;
    std::vector<uint16_t> positions;
    std::vector<int32_t> documents;
    for (int64_t i = 0; i < context; ++i) {
      for (int64_t column = 0; column < width; ++column) values.push_back(value(first + i, column));
      tokens.push_back(static_cast<int32_t>(1000 + first + i));
      positions.push_back(static_cast<uint16_t>(i));
      documents.push_back(static_cast<int32_t>(first / context));
    }
    writer.append(values, tokens, positions, documents);
  }
}

class Store : public testing::Test {
 protected:
  /// Twelve rows in shards of eight and four.
  void write_store(const std::string& name, Dtype dtype = Dtype::f32) const {
    ActivationWriter writer(folder_.path(name), description(dtype), IfStoreExists::refuse, 8 * width * size_of(dtype));
    append_contexts(writer, 12);
    writer.finish();
  }
  void expect_rows(const ActivationStore& store, int64_t rows) const {
    ASSERT_EQ(store.rows(), rows);
    std::vector<int64_t> all(static_cast<size_t>(rows));
    std::iota(all.begin(), all.end(), 0);
    const std::vector<float> values = store.gather(all, *device_).to_vector<float>();
    for (int64_t row = 0; row < rows; ++row) {
      double square = 0;
      for (int64_t column = 0; column < width; ++column) {
        EXPECT_EQ(values[static_cast<size_t>(row * width + column)], value(row, column));
        square += std::pow(value(row, column), 2);
      }
      EXPECT_FLOAT_EQ(store.norms()[static_cast<size_t>(row)], static_cast<float>(std::sqrt(square)));
      EXPECT_EQ(store.token_ids()[static_cast<size_t>(row)], 1000 + row);
      EXPECT_EQ(store.positions()[static_cast<size_t>(row)], row % context);
      EXPECT_EQ(store.documents()[static_cast<size_t>(row)], row / context);
    }
  }
  ActivationStore open(const std::string& name) const { return ActivationStore(folder_.path(name)); }

  TemporaryFolder folder_;
  std::unique_ptr<Device> device_ = Device::open(DeviceKind::cpu);
};

TEST_F(Store, ReadsBackWhatWasWritten) {
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    const std::string name(name_of(dtype));
    write_store(name, dtype);
    EXPECT_TRUE(folder_.has(name + "/shard-00001.act"));
    const ActivationStore store = open(name);
    EXPECT_TRUE(store.description() == description(dtype));
    EXPECT_EQ(store.width(), width);
    expect_rows(store, 12);
  }
}

TEST_F(Store, GathersInAnyOrderAcrossShards) {
  write_store("s");
  const ActivationStore store = open("s");
  const std::vector<int64_t> rows = {11, 0, 8, 7, 7};
  const std::vector<float> values = store.gather(rows, *device_).to_vector<float>();
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(values[i * width + 2], value(rows[i], 2));
  EXPECT_EQ(store.gather({}, *device_).rows(), 0);
  for (const int64_t bad : {int64_t{12}, int64_t{-1}, INT64_MAX}) {
    EXPECT_THROW(store.gather(std::vector<int64_t>{bad}, *device_), Error);
  }
}

TEST_F(Store, SameRowsGiveTheSameBytes) {
  write_store("a");
  write_store("b");
  for (const char* name : {"/shard-00000.act", "/shard-00001.act", "/store.json"}) {
    EXPECT_EQ(folder_.read(std::string("a") + name), folder_.read(std::string("b") + name));
  }
}

TEST_F(Store, TokenIdsOfLargeVocabularies) {
  // a shard whose ids need 32 bits, and one whose ids do not
  ActivationWriter writer(folder_.path("s"), description(), IfStoreExists::refuse, 2 * width * 4);
  const std::vector<float> rows(2 * width, 1.0f);
  const std::vector<uint16_t> positions = {0, 1};
  const std::vector<int32_t> documents = {0, 0};
  writer.append(rows, std::vector<int32_t>{65535, 262143}, positions, documents);
  writer.append(rows, std::vector<int32_t>{65535, 2}, positions, documents);
  EXPECT_THAT(
      [&] {
        writer.append(rows, std::vector<int32_t>{-1, 2}, positions, documents);
      },
      ThrowsMessage<Error>(HasSubstr("token ids below 0")));
  writer.finish();
  const ActivationStore store = open("s");
  EXPECT_THAT(std::vector<int32_t>(store.token_ids().begin(), store.token_ids().end()),
              ElementsAre(65535, 262143, 65535, 2));
  const ActivationShard wide(folder_.path("s/shard-00000.act")), narrow(folder_.path("s/shard-00001.act"));
  EXPECT_EQ(wide.columns().wide_token_ids.size(), 2u);
  EXPECT_EQ(narrow.columns().token_ids.size(), 2u);
}

TEST_F(Store, ImportedMatricesHaveNoTokens) {
  ActivationWriter writer(folder_.path("s"), description(), IfStoreExists::refuse);
  writer.append(std::vector<float>{3, 0, 4, 0, 0, 0});
  const std::vector<int32_t> token = {1};
  const std::vector<uint16_t> position = {1};
  EXPECT_THAT(
      [&] {
        writer.append(std::vector<float>{1, 2, 3}, token, position, std::vector<int32_t>{0});
      },
      ThrowsMessage<Error>(HasSubstr("some rows have tokens and some not")));
  writer.finish();
  const ActivationStore store = open("s");
  EXPECT_EQ(store.rows(), 2);
  EXPECT_TRUE(store.token_ids().empty());
  EXPECT_THAT(std::vector<float>(store.norms().begin(), store.norms().end()), ElementsAre(5, 0));
}

TEST_F(Store, RefusesRowsThatAreNotNumbers) {
  ActivationWriter writer(folder_.path("s"), description(Dtype::bf16), IfStoreExists::refuse);
  append_contexts(writer, 4);
  const std::vector<int32_t> tokens = {7, 8};
  const std::vector<uint16_t> positions = {0, 1};
  const std::vector<int32_t> documents = {0, 0};
  for (const float bad : {NAN, INFINITY, -INFINITY, 3.4e38f /* infinity once rounded to bf16 */}) {
    EXPECT_THAT(
        [&] {
          writer.append(std::vector<float>{1, 2, 3, 4, bad, 6}, tokens, positions, documents);
        },
        ThrowsMessage<Error>(HasSubstr("row 5 holds NaN or infinity (token 8 at position 1)")));
  }
  EXPECT_EQ(writer.rows(), 4);
}

TEST_F(Store, RefusesRowsThatDoNotFit) {
  ActivationWriter writer(folder_.path("s"), description(), IfStoreExists::refuse);
  const std::vector<int32_t> two_ids = {1, 2};
  const std::vector<uint16_t> two = {1, 2};
  EXPECT_THAT([&] { writer.append(std::vector<float>(4)); }, ThrowsMessage<Error>(HasSubstr("no whole rows")));
  EXPECT_THROW(writer.append(std::vector<float>(3), two_ids, two, std::vector<int32_t>(2)), Error);
  EXPECT_THROW(writer.append(std::vector<float>(6), two_ids, two, {}), Error);
  EXPECT_THROW(writer.append(std::vector<float>(6), {}, two, {}), Error);
  EXPECT_THAT([&] { writer.finish(); }, ThrowsMessage<Error>(HasSubstr("no rows were given")));
  StoreDescription bad = description(Dtype::f64);
  EXPECT_THROW(ActivationWriter(folder_.path("t"), bad, IfStoreExists::refuse), Error);
  bad = description();
  bad.width = 0;
  EXPECT_THROW(ActivationWriter(folder_.path("t"), bad, IfStoreExists::refuse), Error);
  folder_.write("file", "x");
  EXPECT_THROW(ActivationWriter(folder_.path("file"), description(), IfStoreExists::refuse), Error);
}

// Wherever the writer stops, what a resumed one adds makes the same store, to the byte.
TEST_F(Store, AnInterruptedWriterResumesAtAShard) {
  write_store("whole");
  for (int64_t stop = 0; stop <= 12; stop += context) {
    const std::string name = "stop" + std::to_string(stop);
    {
      ActivationWriter writer(folder_.path(name), description(), IfStoreExists::refuse, 8 * width * 4);
      append_contexts(writer, stop);
    }
    folder_.write(name + "/shard-00001.act.part", "left by a killed process");
    EXPECT_THAT([&] { open(name); }, ThrowsMessage<Error>(HasSubstr("did not finish and must be resumed")));
    ActivationWriter writer(folder_.path(name), description(), IfStoreExists::resume, 8 * width * 4);
    EXPECT_EQ(writer.rows(), stop <= 8 ? 0 : 8);
    EXPECT_FALSE(writer.is_finished());
    append_contexts(writer, 12);
    writer.finish();
    for (const char* file : {"/shard-00000.act", "/shard-00001.act", "/store.json"}) {
      EXPECT_EQ(folder_.read(name + file), folder_.read(std::string("whole") + file));
    }
    EXPECT_FALSE(folder_.has(name + "/shard-00001.act.part"));
  }
}

TEST_F(Store, AnExistingStoreIsRefusedResumedOrOverwritten) {
  write_store("s");
  folder_.write("s/notes.txt", "mine");
  const std::string path = folder_.path("s");
  EXPECT_THAT([&] { ActivationWriter(path, description(), IfStoreExists::refuse); },
              ThrowsMessage<Error>(HasSubstr("holds an activation store already")));
  ActivationWriter finished(path, description(), IfStoreExists::resume);
  EXPECT_TRUE(finished.is_finished());
  EXPECT_EQ(finished.rows(), 12);
  EXPECT_THROW(append_contexts(finished, 16), Error);
  finished.finish();

  StoreDescription other = description();
  other.notes = {{"precision", "bf16"}};
  EXPECT_THAT([&] { ActivationWriter(path, other, IfStoreExists::resume); },
              ThrowsMessage<Error>(HasSubstr("belongs to another store")));
  expect_rows(open("s"), 12);

  ActivationWriter writer(path, other, IfStoreExists::overwrite);
  EXPECT_EQ(writer.rows(), 0);
  append_contexts(writer, 4);
  writer.finish();
  expect_rows(open("s"), 4);
  EXPECT_FALSE(folder_.has("s/shard-00001.act"));
  EXPECT_EQ(folder_.read("s/notes.txt"), "mine");
}

TEST_F(Store, AFinishedStoreThatIsReopenedGrows) {
  write_store("s");
  const std::string before = open("s").fingerprint();
  {
    ActivationWriter writer(folder_.path("s"), description(), IfStoreExists::resume, 8 * width * 4);
    writer.reopen();
    EXPECT_THROW(open("s"), Error);  // until it is finished again
    append_contexts(writer, 20);
    writer.finish();
  }
  expect_rows(open("s"), 20);
  EXPECT_NE(open("s").fingerprint(), before);
  write_store("t");
  EXPECT_EQ(open("t").fingerprint(), before);
}

TEST_F(Store, ResumeRefusesDamagedAndMissingShards) {
  write_store("s");
  const std::string second = folder_.read("s/shard-00001.act");
  std::string damaged = second;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  folder_.write("s/shard-00001.act", damaged);
  const auto resume = [&] { ActivationWriter(folder_.path("s"), description(), IfStoreExists::resume); };
  EXPECT_THAT(resume, ThrowsMessage<Error>(HasSubstr("shard-00001.act: its contents are damaged")));
  std::filesystem::remove(folder_.path("s/shard-00000.act"));
  EXPECT_THAT(resume, ThrowsMessage<Error>(HasSubstr("shard-00000.act: is missing")));
}

TEST_F(Store, RefusesWhatIsNoStore) {
  EXPECT_THAT([&] { open("none"); }, ThrowsMessage<Error>(HasSubstr("there is none")));
  folder_.write("file", "x");
  EXPECT_THROW(open("file"), Error);
  write_store("s");
  std::filesystem::remove(folder_.path("s/shard-00001.act"));
  EXPECT_THAT([&] { open("s"); }, ThrowsMessage<Error>(HasSubstr("shard-00001.act: cannot be opened")));
}

TEST_F(Store, RefusesShardsOfOtherStores) {
  write_store("s");
  StoreDescription other = description();
  other.layer = 21;
  ActivationWriter writer(folder_.path("other"), other, IfStoreExists::refuse, 8 * width * 4);
  append_contexts(writer, 12);
  writer.finish();
  folder_.write("s/shard-00001.act", folder_.read("other/shard-00001.act"));
  EXPECT_THAT([&] { open("s"); }, ThrowsMessage<Error>(HasSubstr("shard-00001.act: is not the shard")));
  folder_.write("s/shard-00001.act", folder_.read("s/shard-00000.act"));
  EXPECT_THAT([&] { open("s"); }, ThrowsMessage<Error>(HasSubstr("shard-00001.act: is not the shard")));
}

TEST_F(Store, EveryFlippedByteAndEveryTruncationOfAShardIsRefused) {
  write_store("s");
  const std::string whole = folder_.read("s/shard-00001.act");
  const ReadAll read = [&](const std::string& bytes) {
    ActivationShard(folder_.write("damaged", bytes)).verify();
    return std::string();
  };
  expect_truncations_refused(read, whole);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
    EXPECT_TRUE(is_refused(read, bytes)) << "byte " << i;
  }
  EXPECT_TRUE(is_refused(read, whole + '\0'));
  expect_survives_edits(read, whole, 3, 1000);
  EXPECT_FALSE(is_refused(read, whole));

  std::string flipped = whole;
  flipped.back() = 1;
  folder_.write("s/shard-00001.act", flipped);
  EXPECT_THAT([&] { open("s"); }, ThrowsMessage<Error>(HasSubstr("shard-00001.act: its contents are damaged")));
}

TEST_F(Store, AChangedIndexIsRefusedOrReadsTheSame) {
  write_store("s");
  const std::string whole = folder_.read("s/store.json");
  const ReadAll read = [&](const std::string& bytes) {
    folder_.write("s/store.json", bytes);
    expect_rows(open("s"), 12);
    return std::string();
  };
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 7)));
    is_refused(read, bytes);  // where it is not, expect_rows has compared the rows
  }
  expect_survives_edits(read, whole, 4, 1000);
}

TEST_F(Store, FullDiskLosesNoCompleteShard) {
  {
    ActivationWriter writer(folder_.path("s"), description(), IfStoreExists::refuse, 8 * width * 4);
    append_contexts(writer, 12);
    const FileSizeLimit limit(256);
    EXPECT_THAT([&] { writer.finish(); },
                ThrowsMessage<Error>(AllOf(HasSubstr("shard-00001.act: cannot be written"), HasSubstr("Free some"))));
  }
  ActivationWriter writer(folder_.path("s"), description(), IfStoreExists::resume, 8 * width * 4);
  EXPECT_EQ(writer.rows(), 8);
  append_contexts(writer, 12);
  writer.finish();
  expect_rows(open("s"), 12);
}

}  // namespace
}  // namespace sae
