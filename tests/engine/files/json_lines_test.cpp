#include "engine/files/json_lines.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "engine/error.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

Json step(int64_t number) { return Json::object().set("step", number); }

TEST(JsonLines, WritesALineAtOnce) {
  const TemporaryFolder folder;
  JsonLinesWriter writer(folder.path("m.jsonl"), IfExists::refuse);
  writer.append(step(1));
  EXPECT_EQ(folder.read("m.jsonl"), "{\"step\":1}\n");
  writer.append(step(2));
  EXPECT_EQ(folder.read("m.jsonl"), "{\"step\":1}\n{\"step\":2}\n");
  EXPECT_EQ(writer.bytes(), 22);
}

TEST(JsonLines, ReadsWhatWasWritten) {
  const TemporaryFolder folder;
  JsonLinesReader reader(folder.write("m.jsonl", "{\"step\":1}\n[2]\r\n"));
  EXPECT_EQ(reader.next()->at("step").integer(), 1);
  EXPECT_EQ(reader.line(), 1);
  EXPECT_EQ(reader.offset(), 11);
  EXPECT_EQ(reader.next()->at(0).integer(), 2);
  EXPECT_FALSE(reader.next().has_value());
  EXPECT_EQ(reader.line(), 2);
  EXPECT_EQ(reader.unfinished(), "");
}

TEST(JsonLines, ReadsAnEmptyFileAndRefusesAMissingOne) {
  const TemporaryFolder folder;
  JsonLinesReader reader(folder.write("m.jsonl", ""));
  EXPECT_FALSE(reader.next().has_value());
  EXPECT_EQ(reader.unfinished(), "");
  EXPECT_THROW(JsonLinesReader(folder.path("none")), Error);
  EXPECT_THROW(JsonLinesReader(folder.path("")), Error);
}

TEST(JsonLines, BadLinesAreNamed) {
  const TemporaryFolder folder;
  JsonLinesReader reader(folder.write("m.jsonl", "{\"a\":\"x\"}\n{\"a\":}\n"));
  const Json first = *reader.next();
  EXPECT_THAT([&] { first.at("a").integer(); }, ThrowsMessage<Error>(HasSubstr("m.jsonl:1: a expected an integer")));
  EXPECT_THAT([&] { reader.next(); }, ThrowsMessage<Error>(HasSubstr("m.jsonl:2: not valid JSON")));
  JsonLinesReader blank(folder.write("blank.jsonl", "\n"));
  EXPECT_THROW(blank.next(), Error);
}

// The file at every length at which a killed writer can leave it.
TEST(JsonLines, AnInterruptedFileIsResumedAfterItsLastWholeLine) {
  const TemporaryFolder folder;
  const std::string whole = "{\"step\":1}\n{\"step\":2}\n";
  for (size_t length = 0; length <= whole.size(); ++length) {
    const std::string path = folder.write("m.jsonl", whole.substr(0, length));
    JsonLinesReader reader(path);
    int64_t lines = 0;
    while (reader.next()) ++lines;
    EXPECT_EQ(lines, static_cast<int64_t>(length / 11));
    EXPECT_EQ(reader.unfinished(), whole.substr(length / 11 * 11, length % 11));
    JsonLinesWriter writer = JsonLinesWriter::resume(path, reader.offset());
    writer.append(step(9));
    EXPECT_EQ(folder.read("m.jsonl"), whole.substr(0, length / 11 * 11) + "{\"step\":9}\n");
  }
}

TEST(JsonLines, ResumeRefusesAnotherPlace) {
  const TemporaryFolder folder;
  const std::string path = folder.write("m.jsonl", "{\"step\":1}\n{\"step\":2}\n");
  EXPECT_THAT([&] { JsonLinesWriter::resume(path, 5); }, ThrowsMessage<Error>(HasSubstr("no line ends at byte 5")));
  EXPECT_THAT([&] { JsonLinesWriter::resume(path, 23); }, ThrowsMessage<Error>(HasSubstr("the file has 22")));
  EXPECT_THROW(JsonLinesWriter::resume(path, -1), Error);
  EXPECT_THROW(JsonLinesWriter::resume(folder.path("none"), 0), Error);
  EXPECT_EQ(folder.read("m.jsonl").size(), 22u);
}

TEST(JsonLines, RefusesAnExistingFileUnlessTold) {
  const TemporaryFolder folder;
  const std::string path = folder.write("m.jsonl", "old\n");
  EXPECT_THAT([&] { JsonLinesWriter(path, IfExists::refuse); }, ThrowsMessage<Error>(HasSubstr("exists already")));
  EXPECT_EQ(folder.read("m.jsonl"), "old\n");
  JsonLinesWriter(path, IfExists::replace).append(step(1));
  EXPECT_EQ(folder.read("m.jsonl"), "{\"step\":1}\n");
  std::filesystem::create_symlink(path, folder.path("link"));
  EXPECT_THROW(JsonLinesWriter(folder.path("link"), IfExists::replace), Error);
}

TEST(JsonLines, FullDiskKeepsTheLinesBefore) {
  const TemporaryFolder folder;
  JsonLinesWriter writer(folder.path("m.jsonl"), IfExists::refuse);
  writer.append(step(1));
  {
    const FileSizeLimit limit(16);
    EXPECT_THAT([&] { writer.append(step(2)); },
                ThrowsMessage<Error>(AllOf(HasSubstr("m.jsonl"), HasSubstr("a line of 11 bytes cannot be written"))));
  }
  EXPECT_EQ(folder.read("m.jsonl"), "{\"step\":1}\n");
  writer.append(step(3));
  EXPECT_EQ(folder.read("m.jsonl"), "{\"step\":1}\n{\"step\":3}\n");
  JsonLinesWriter full("/dev/full", IfExists::replace);
  EXPECT_THAT([&] { full.append(step(1)); }, ThrowsMessage<Error>(HasSubstr("No space left on device")));
}

}  // namespace
}  // namespace sae
