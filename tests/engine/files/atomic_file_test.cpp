#include "engine/files/atomic_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "engine/error.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(AtomicFile, AppearsOnlyOnCommit) {
  const TemporaryFolder folder;
  AtomicFile file(folder.path("out"), IfExists::refuse);
  file.expect_bytes(10);
  file.write("hello");
  file.write("world");
  EXPECT_EQ(file.bytes_written(), 10);
  EXPECT_FALSE(folder.has("out"));
  file.commit();
  EXPECT_EQ(folder.read("out"), "helloworld");
  EXPECT_EQ(folder.entries(), 1);
  EXPECT_THROW(file.write("more"), Error);
  EXPECT_THROW(file.commit(), Error);
}

TEST(AtomicFile, AbandonedLeavesNothing) {
  const TemporaryFolder folder;
  folder.write("out", "old");
  {
    AtomicFile file(folder.path("out"), IfExists::replace);
    file.write("new");
  }
  EXPECT_EQ(folder.read("out"), "old");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(AtomicFile, ReplacesOnlyWhenTold) {
  const TemporaryFolder folder;
  folder.write("out", "old");
  EXPECT_THAT([&] { AtomicFile file(folder.path("out"), IfExists::refuse); },
              ThrowsMessage<Error>(HasSubstr("out: exists already")));
  write_file(folder.path("out"), "new", IfExists::replace);
  EXPECT_EQ(folder.read("out"), "new");
}

TEST(AtomicFile, DoesNotReplaceAFileThatAppearedMeanwhile) {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder.path("out"), IfExists::refuse);
    file.write("mine");
    folder.write("out", "theirs");
    EXPECT_THAT([&] { file.commit(); }, ThrowsMessage<Error>(HasSubstr("cannot be given its name")));
  }
  EXPECT_EQ(folder.read("out"), "theirs");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(AtomicFile, RefusesFewerBytesThanAnnounced) {
  const TemporaryFolder folder;
  AtomicFile file(folder.path("out"), IfExists::refuse);
  file.expect_bytes(10);
  file.write("hello");
  EXPECT_THAT([&] { file.commit(); }, ThrowsMessage<Error>(HasSubstr("10 bytes were announced and 5 written")));
}

TEST(AtomicFile, RefusesFoldersLinksAndMissingFolders) {
  const TemporaryFolder folder;
  const auto open = [&](const std::string& name) { AtomicFile file(folder.path(name), IfExists::replace); };
  EXPECT_THAT([&] { open("none/out"); }, ThrowsMessage<Error>(HasSubstr("No such file")));
  EXPECT_THAT([&] { open(""); }, ThrowsMessage<Error>(HasSubstr("expected the name of a file")));
  EXPECT_THROW(AtomicFile("", IfExists::replace), Error);
  ASSERT_EQ(::mkdir(folder.path("sub").c_str(), 0700), 0);
  EXPECT_THAT([&] { open("sub"); }, ThrowsMessage<Error>(HasSubstr("no regular file")));
  folder.write("target", "precious");
  std::filesystem::create_symlink(folder.path("target"), folder.path("link"));
  EXPECT_THAT([&] { open("link"); }, ThrowsMessage<Error>(HasSubstr("symbolic link")));
  // A link under the temporary name must not lead the writes elsewhere.
  std::filesystem::create_symlink(folder.path("target"), folder.path("out.part"));
  EXPECT_THROW(open("out"), Error);
  std::filesystem::remove(folder.path("out.part"));
  std::filesystem::create_hard_link(folder.path("target"), folder.path("out.part"));
  EXPECT_THAT([&] { open("out"); }, ThrowsMessage<Error>(HasSubstr("remove it")));
  EXPECT_EQ(folder.read("target"), "precious");
}

TEST(AtomicFile, KeepsASecondWriterOutAndReusesWhatAKilledOneLeft) {
  const TemporaryFolder folder;
  folder.write("out.part", "left by a killed process, and longer than what comes now");
  AtomicFile file(folder.path("out"), IfExists::refuse);
  EXPECT_THAT([&] { AtomicFile second(folder.path("out"), IfExists::refuse); },
              ThrowsMessage<Error>(HasSubstr("another process is writing it")));
  file.write("new");
  file.commit();
  EXPECT_EQ(folder.read("out"), "new");
}

TEST(AtomicFile, FullDiskNamesFileAndBytesAndLosesNothing) {
  const TemporaryFolder folder;
  folder.write("out", "old");
  const std::string large(100000, 'x');
  const FileSizeLimit limit(4096);
  const auto message = AllOf(HasSubstr(folder.path("out") + ": cannot be written"),
                             HasSubstr("more bytes are needed after 4096 written"), HasSubstr("nothing was changed"));
  EXPECT_THAT([&] { write_file(folder.path("out"), large, IfExists::replace); }, ThrowsMessage<Error>(message));
  EXPECT_THAT(
      [&] {
        AtomicFile file(folder.path("out"), IfExists::replace);
        file.expect_bytes(int64_t{1} << 60);
      },
      ThrowsMessage<Error>(HasSubstr("1152921504606846976 more bytes are needed after 0 written")));
  EXPECT_EQ(folder.read("out"), "old");
  EXPECT_EQ(folder.entries(), 1);
}

}  // namespace
}  // namespace sae
