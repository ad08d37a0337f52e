#include "engine/files/mapped_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <utility>

#include "engine/error.h"
#include "tests/support/temporary_folder.h"

namespace sae {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(MappedFile, ShowsTheBytesAndItsName) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "hello");
  const MappedFile file(path);
  EXPECT_EQ(file.name(), path);
  EXPECT_EQ(file.size(), 5);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()), "hello");
}

TEST(MappedFile, ForgottenPagesAreReadAgain) {
  const TemporaryFolder folder;
  const MappedFile file(folder.write("file", std::string(10000, 'x')));
  EXPECT_EQ(file.bytes()[9999], std::byte{'x'});
  file.forget_pages();
  EXPECT_EQ(file.bytes()[9999], std::byte{'x'});
}

TEST(MappedFile, MovesItsMapping) {
  const TemporaryFolder folder;
  MappedFile first(folder.write("first", "1"));
  MappedFile second(folder.write("second", "22"));
  second = std::move(first);
  EXPECT_EQ(second.size(), 1);
  EXPECT_EQ(second.bytes()[0], std::byte{'1'});
}

TEST(MappedFile, RangeRefusesWhatIsNotInTheFile) {
  const TemporaryFolder folder;
  const MappedFile file(folder.write("file", "hello"));
  EXPECT_EQ(file.range(1, 4, "tail").size(), 4u);
  EXPECT_EQ(file.range(5, 0, "nothing").size(), 0u);
  EXPECT_THAT([&] { file.range(2, 4, "the header"); },
              ThrowsMessage<Error>(HasSubstr("the header needs 4 bytes at offset 2, but the file ends at 5")));
  EXPECT_THROW(file.range(6, 0, "x"), Error);
  EXPECT_THROW(file.range(-1, 1, "x"), Error);
  EXPECT_THROW(file.range(1, -1, "x"), Error);
  EXPECT_THROW(file.range(1, INT64_MAX, "x"), Error);
}

TEST(MappedFile, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  EXPECT_THAT([&] { MappedFile file(folder.path("missing")); },
              ThrowsMessage<Error>(HasSubstr("missing: cannot be opened: No such file")));
  EXPECT_THAT([&] { MappedFile file(folder.path("")); }, ThrowsMessage<Error>(HasSubstr("is a directory")));
  EXPECT_THAT([&] { MappedFile file(folder.write("empty", "")); }, ThrowsMessage<Error>(HasSubstr("is empty")));
  const std::string pipe = folder.path("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT([&] { MappedFile file(pipe); }, ThrowsMessage<Error>(HasSubstr("device, pipe or socket")));
}

}  // namespace
}  // namespace sae
